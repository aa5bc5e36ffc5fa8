"""Whether a load balancer should send webhooks here: can one be kept now?

Guarantees: an answer within about two seconds that is at most one second old; however often it is asked, one
check runs at a time, outside the event loop. Ready with the broker away as long as the journal takes entries:
an ingress taken out for its broker would lose what it could have kept.
"""

import asyncio
import time

import msgspec

from ingress.encoding import Encoder
from ingress.errors import BrokerAway
from ingress.journal import Journal
from ingress.publisher import Publisher
from ingress.watching import oldest_age_s

CHECK_TIMEOUT_S = 2.0
VALID_S = 1.0


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

    __slots__ = ("_checked_at", "_encoder", "_journal", "_last", "_one_at_a_time", "_publisher")

    def __init__(self, publisher: Publisher, encoder: Encoder, journal: Journal) -> None:
        self._publisher = publisher
        self._encoder = encoder
        self._journal = journal
        self._one_at_a_time = asyncio.Lock()
        self._last: Readiness | None = None
        self._checked_at = 0.0

    async def check(self) -> Readiness:
        async with self._one_at_a_time:
            if self._last is None or time.monotonic() - self._checked_at > VALID_S:
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
