"""A broker whose answers are the test's: what was handed over, and what it then did with it.

Guarantees: as a publisher, a report never comes before `publish` returned, records of one key arrive in the
order they were handed over, and one whose report is an error may be in the topic all the same, or still get
there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from ingress.errors import BrokerAway
from ingress.journal import Journal
from ingress.journal.disk import Disk
from ingress.publisher import Delivery

TOPIC = "twilio.status"
MEGABYTE = 2**20


class FakeBroker:
    """`waiting`: handed over and not reported, oldest first. `topic`: (key, value) as they were written."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.topic: list[tuple[str, bytes]] = []
        self.away = False

    def publish(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)

    def ask_broker(self, timeout_s: float) -> None:
        if self.away:
            raise BrokerAway("nobody answers")

    def write(self, delivery: Delivery) -> None:
        self.topic.append((delivery.key, delivery.value))

    def acknowledge(self, delivery: Delivery) -> None:
        self._take(delivery)
        self.write(delivery)
        delivery.on_report(delivery)

    def fail(self, delivery: Delivery, why: str = "Kafka: timed out") -> None:
        self._take(delivery)
        delivery.error = why
        delivery.on_report(delivery)

    def acknowledge_all(self) -> None:
        for delivery in list(self.waiting):
            self.acknowledge(delivery)

    def firsts(self) -> Iterator[Delivery]:
        """Of each key the one that is to be reported next."""
        keys: set[str] = set()
        for delivery in self.waiting:
            if delivery.key not in keys:
                keys.add(delivery.key)
                yield delivery

    def _take(self, delivery: Delivery) -> None:
        self.waiting.remove(delivery)


@asynccontextmanager
async def journal_in(
    directory: Path, *, most_bytes: int = 16 * MEGABYTE, disk: Disk | None = None
) -> AsyncIterator[Journal]:
    """A started journal, closed at the end."""
    journal = Journal.open(directory, most_bytes=most_bytes, disk=disk)
    journal.start()
    try:
        yield journal
    finally:
        await journal.close()
