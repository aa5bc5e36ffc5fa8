"""Whether a load balancer should send webhooks here: can the broker and the registry be reached now?

Guarantees: an answer within about two seconds that is at most one second old; however often it is asked, one
check runs at a time, outside the event loop.
"""

import asyncio
import time

import httpx2
import msgspec
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from ingress.encoding import RECORDS, Encoder
from ingress.errors import BrokerAway
from ingress.publisher import Publisher

CHECK_TIMEOUT_S = 2.0
VALID_S = 1.0


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /readyz. `reasons` is empty when ready."""

    ready: bool
    reasons: tuple[str, ...]


class ReadinessCheck:
    """Asks through the publisher's own connection: another client's could work where that one does not."""

    __slots__ = ("_checked_at", "_journal", "_last", "_one_at_a_time", "_publisher", "_registry")

    def __init__(self, publisher: Publisher, journal: Encoder, schema_registry_url: str) -> None:
        self._publisher = publisher
        self._journal = journal
        self._registry = SchemaRegistryClient(
            {"url": schema_registry_url, "timeout": CHECK_TIMEOUT_S, "max.retries": 0}
        )
        self._one_at_a_time = asyncio.Lock()
        self._last: Readiness | None = None
        self._checked_at = 0.0

    async def check(self) -> Readiness:
        async with self._one_at_a_time:
            if self._last is None or time.monotonic() - self._checked_at > VALID_S:
                found = await asyncio.gather(
                    asyncio.to_thread(self._broker), asyncio.to_thread(self._schemas)
                )
                reasons = tuple(reason for reason in found if reason is not None)
                self._last = Readiness(ready=not reasons, reasons=reasons)
                self._checked_at = time.monotonic()
            return self._last

    def close(self) -> None:
        self._registry.close()

    def _broker(self) -> str | None:
        try:
            self._publisher.ask_broker(CHECK_TIMEOUT_S)
        except BrokerAway as away:
            return f"broker: {away}"
        return None

    def _schemas(self) -> str | None:
        if self._journal.why_not is not None:
            return f"schema registry: {self._journal.why_not}"
        try:
            # A registry that lost our schemas gives readers nothing to decode our records with.
            for topic in RECORDS:
                self._registry.get_versions(f"{topic}-value")
        except (SchemaRegistryError, httpx2.TransportError, OSError) as away:
            return f"schema registry: {type(away).__name__}: {away}"
        return None
