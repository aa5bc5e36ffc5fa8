"""Whether a load balancer should send webhooks here: can one be kept now?

Guarantees: an answer within about two seconds that is at most one second old; however often it is asked, one
check runs at a time, outside the event loop. Ready with the broker away as long as the journal takes entries:
an ingress taken out for its broker would lose what it could have kept.
"""

import asyncio
import time
from typing import Protocol

import msgspec

from ingress.errors import BrokerAway
from ingress.journal import Journal
from ingress.watching import oldest_age_s

CHECK_TIMEOUT_S = 2.0
VALID_S = 1.0


class Broker(Protocol):
    """Who can be asked whether a broker is there: `ingress.publisher.Publisher`."""

    def ask_broker(self, timeout_s: float) -> None:
        """Return when a broker answers; raises BrokerAway. Blocks."""


class Schemas(Protocol):
    """Who knows whether records can be encoded: `ingress.encoding.Encoder`."""

    @property
    def why_not(self) -> str | None:
        """Why nothing can be encoded now; None when it can."""

    @property
    def registry_trouble(self) -> str | None:
        """What the registry last answered instead of an id; None once it confirmed all schemas."""


class JournalState(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the journal. `trouble` says why it takes nothing now; None while it does."""

    entries: int
    size_bytes: int
    oldest_age_s: float
    trouble: str | None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /readyz. `broker` and `registry` say what is wrong with them; None when nothing is."""

    ready: bool
    broker: str | None
    registry: str | None
    journal: JournalState


class ReadinessCheck:
    """Asks through the publisher's own connection: another client's could work where that one does not."""

    __slots__ = ("_checked_at", "_encoder", "_journal", "_last", "_one_at_a_time", "_publisher", "_valid_s")

    def __init__(
        self, publisher: Broker, encoder: Schemas, journal: Journal, *, valid_s: float = VALID_S
    ) -> None:
        """An answer is given again for `valid_s` seconds."""
        self._publisher = publisher
        self._encoder = encoder
        self._journal = journal
        self._valid_s = valid_s
        self._one_at_a_time = asyncio.Lock()
        self._last: Readiness | None = None
        self._checked_at = 0.0

    async def check(self) -> Readiness:
        async with self._one_at_a_time:
            if self._last is None or time.monotonic() - self._checked_at > self._valid_s:
                self._last = self._found(await asyncio.to_thread(self._broker))
                self._checked_at = time.monotonic()
            return self._last

    def _found(self, broker: str | None) -> Readiness:
        journal = self._journal
        return Readiness(
            ready=self._encoder.why_not is None and (broker is None or journal.trouble is None),
            broker=broker,
            registry=self._encoder.registry_trouble,
            journal=JournalState(
                entries=journal.depth,
                size_bytes=journal.size_bytes,
                oldest_age_s=round(oldest_age_s(journal), 3),
                trouble=journal.trouble,
            ),
        )

    def _broker(self) -> str | None:
        try:
            self._publisher.ask_broker(CHECK_TIMEOUT_S)
        except BrokerAway as away:
            return str(away)
        return None
