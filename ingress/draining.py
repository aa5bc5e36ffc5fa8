"""Emptying the journal into Kafka, oldest first, and noticing that the broker is back.

Guarantees: at most one record of a key is on its way at a time, so that of one key the first copies arrive in
the order they were kept; an entry is forgotten only after all in-sync replicas have it, so that a crash
writes some again and loses none; a broker that is away is asked again and again, and nothing else stops.
Leaves to others: the journal's files, and when records go there (`ingress.keeping`).
"""

import asyncio

import structlog

from ingress.errors import BrokerAway
from ingress.journal import Journal, JournalError, Kept
from ingress.keeping import Keeper
from ingress.publisher import Delivery, Publisher

log = structlog.get_logger("ingress.draining")

# Entries on their way at once: enough for some ten thousand a second, little enough to take a millisecond of
# the event loop.
BATCH = 500
# After a batch of which nothing arrived, or while only the broker can be asked.
PAUSE_S = 0.5
ASK_TIMEOUT_S = 2.0


class Drain:
    """One task. `wanted` is to be set whenever an entry came into the journal or the broker went away."""

    __slots__ = ("_journal", "_keeper", "_publisher", "wanted")

    def __init__(self, journal: Journal, publisher: Publisher, keeper: Keeper, wanted: asyncio.Event) -> None:
        self._journal = journal
        self._publisher = publisher
        self._keeper = keeper
        self.wanted = wanted

    async def run(self) -> None:
        """For ever; cancel it at the end."""
        self.wanted.set()  # what a former process left
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            await self.empty()

    async def empty(self) -> None:
        """Return when the journal is empty and the broker is there."""
        while self._journal.depth or self._keeper.to_journal is not None:
            if not await self._step():
                await asyncio.sleep(PAUSE_S)

    async def _step(self) -> bool:
        """Whether there was any progress."""
        try:
            head = await self._journal.head(BATCH)
        except JournalError as trouble:
            log.error("journal.unreadable", detail=str(trouble))
            return False
        if not head:
            return await self._ask() if self._keeper.to_journal is not None else False
        batch = _Batch(first_of_each_key(head))
        for delivery in batch.deliveries:
            self._publisher.publish(delivery)
        await batch.all_reported
        arrived = [
            kept for kept, sent in zip(batch.entries, batch.deliveries, strict=True) if sent.error is None
        ]
        self._journal.forget(arrived)
        if arrived:
            self._keeper.broker_back()
        else:
            self._keeper.broker_away(str(batch.deliveries[0].error))
        return bool(arrived)

    async def _ask(self) -> bool:
        """The journal took nothing that could be sent, so ask whether a broker is there at all."""
        try:
            await asyncio.to_thread(self._publisher.ask_broker, ASK_TIMEOUT_S)
        except BrokerAway:
            return False
        self._keeper.broker_back()
        return True


def first_of_each_key(entries: list[Kept]) -> list[Kept]:
    """In order; what follows under a key that is on its way has to wait for it."""
    first: dict[tuple[str, str], Kept] = {}
    for kept in entries:
        first.setdefault((kept.entry.topic, kept.entry.key), kept)
    return list(first.values())


class _Batch:
    """Entries on their way together; one wake-up for all of them."""

    __slots__ = ("_missing", "all_reported", "deliveries", "entries")

    def __init__(self, entries: list[Kept]) -> None:
        self.entries = entries
        self.deliveries = [
            Delivery(kept.entry.topic, kept.entry.key, kept.entry.value, self._reported) for kept in entries
        ]
        self.all_reported: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = len(entries)

    def _reported(self, _: Delivery) -> None:
        self._missing -= 1
        if not self._missing and not self.all_reported.done():
            self.all_reported.set_result(None)
