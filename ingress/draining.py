"""Emptying the journal into Kafka, oldest first, and noticing that the broker is back.

Guarantees: at most one record of a key is on its way at a time, so that of one key the first copies arrive in
the order they were kept; an entry is forgotten only after all in-sync replicas have it, so that a crash
writes some again and loses none; a broker that is away is asked again and again, and nothing else stops. An
entry that a broker refuses stays, with those of its key behind it, and is set aside for a while; it holds up
no other, unless such entries fill all that one look into the journal shows (`BATCH` behind refused ones of
their key, or 4 MiB).
Leaves to others: the journal's files, and when records go there (`ingress.keeping`).
"""

import asyncio
from typing import Protocol

import structlog

from ingress.errors import BrokerAway
from ingress.journal import Journal, JournalError, Kept, Position
from ingress.keeping import Keeper
from ingress.publisher import Delivery, Publishing

log = structlog.get_logger("ingress.draining")

# Entries on their way at once: enough for some ten thousand a second, little enough to take a millisecond of
# the event loop.
BATCH = 500
# After a batch of which nothing arrived, or while only the broker can be asked.
PAUSE_S = 0.5
ASK_TIMEOUT_S = 2.0
# What a broker refused is tried again this often: a topic may have been made, or a limit raised.
REFUSED_AGAIN_S = 10.0


class Broker(Publishing, Protocol):
    """What emptying the journal needs of a broker."""

    def ask_broker(self, timeout_s: float) -> None:
        """Return when a broker answers; raises BrokerAway. Blocks."""


class Drain:
    """One task. `wanted` is to be set whenever an entry came into the journal or the broker went away."""

    __slots__ = (
        "_journal",
        "_keeper",
        "_pause_s",
        "_publisher",
        "_refused",
        "_refused_again_at",
        "_refused_again_s",
        "wanted",
    )

    def __init__(
        self,
        journal: Journal,
        publisher: Broker,
        keeper: Keeper,
        wanted: asyncio.Event,
        *,
        pause_s: float = PAUSE_S,
        refused_again_s: float = REFUSED_AGAIN_S,
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._keeper = keeper
        self._pause_s = pause_s
        self._refused_again_s = refused_again_s
        self._refused: set[Position] = set()
        self._refused_again_at = 0.0
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
                await asyncio.sleep(self._pause_s)

    async def _step(self) -> bool:
        """Whether there was any progress."""
        if self._refused and asyncio.get_running_loop().time() >= self._refused_again_at:
            self._refused.clear()
        try:
            head = await self._journal.head(BATCH + len(self._refused))
        except JournalError as trouble:
            log.error("journal.unreadable", detail=str(trouble))
            return False
        due = [kept for kept in first_of_each_key(head) if kept.position not in self._refused]
        if not due:
            return self._keeper.to_journal is not None and await self._ask()
        batch = _Batch(due)
        for delivery in batch.deliveries:
            self._publisher.publish(delivery)
        await batch.all_reported
        arrived, failed = batch.outcome()
        if arrived:
            self._journal.forget(arrived)
            self._keeper.broker_back()
        # A broker that is there has refused these, or did not write them for as long as librdkafka tries:
        # the next batches would wait as long again.
        if failed and (arrived or await self._ask()):
            self._set_aside(failed, batch.first_error)
        return bool(arrived)

    async def _ask(self) -> bool:
        """Whether a broker is there, when no record can tell."""
        try:
            await asyncio.to_thread(self._publisher.ask_broker, ASK_TIMEOUT_S)
        except BrokerAway as away:
            self._keeper.broker_away(str(away))
            return False
        self._keeper.broker_back()
        return True

    def _set_aside(self, failed: list[Kept], why: str | None) -> None:
        if not self._refused:
            self._refused_again_at = asyncio.get_running_loop().time() + self._refused_again_s
        self._refused.update(kept.position for kept in failed)
        log.error("journal.refused", entries=len(self._refused), topic=failed[0].entry.topic, detail=why)


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

    def outcome(self) -> tuple[list[Kept], list[Kept]]:
        """Those that the broker has, and those that failed."""
        arrived: list[Kept] = []
        failed: list[Kept] = []
        for kept, sent in zip(self.entries, self.deliveries, strict=True):
            (arrived if sent.error is None else failed).append(kept)
        return arrived, failed

    @property
    def first_error(self) -> str | None:
        return next((sent.error for sent in self.deliveries if sent.error is not None), None)

    def _reported(self, _: Delivery) -> None:
        self._missing -= 1
        if not self._missing and not self.all_reported.done():
            self.all_reported.set_result(None)
