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
from collections import deque
from typing import Protocol

import structlog

from ingress.errors import BrokerAway
from ingress.journal import Journal, JournalError, Kept, Position
from ingress.keeping import Keeper
from ingress.publisher import Delivery, Publishing

log = structlog.get_logger("ingress.draining")

# Entries read and sent together: enough to gain on the traffic when a broker under load takes a second.
BATCH = 1000
# Keys begun at a stretch: a millisecond or two of the event loop.
STRETCH = 250
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
        due = _not_behind(self._refused, head)
        if not due:
            return self._keeper.to_journal is not None and await self._ask()
        batch = _Batch(due, self._publisher)
        await batch.sent()
        if batch.arrived:
            self._journal.forget(batch.arrived)
            self._keeper.broker_back()
        # A broker that is there has refused these, or did not write them for as long as librdkafka tries:
        # the next batches would wait as long again.
        if batch.failed and (batch.arrived or await self._ask()):
            self._set_aside(batch.failed)
        return bool(batch.arrived)

    async def _ask(self) -> bool:
        """Whether a broker is there, when no record can tell."""
        try:
            await asyncio.to_thread(self._publisher.ask_broker, ASK_TIMEOUT_S)
        except BrokerAway as away:
            self._keeper.broker_away(str(away))
            return False
        self._keeper.broker_back()
        return True

    def _set_aside(self, failed: list[tuple[Kept, str]]) -> None:
        if not self._refused:
            self._refused_again_at = asyncio.get_running_loop().time() + self._refused_again_s
        self._refused.update(kept.position for kept, _ in failed)
        first, why = failed[0]
        log.error("journal.refused", entries=len(self._refused), topic=first.entry.topic, detail=why)


def _not_behind(refused: set[Position], entries: list[Kept]) -> list[Kept]:
    """Those that are not refused themselves, nor behind a refused one of their key."""
    held_up: set[tuple[str, str]] = set()
    for kept in entries:
        if kept.position in refused:
            held_up.add(_key_of(kept))
    return [kept for kept in entries if _key_of(kept) not in held_up]


def _key_of(kept: Kept) -> tuple[str, str]:
    return kept.entry.topic, kept.entry.key


class _OnItsWay(Delivery):
    """The first entry of a chain."""

    __slots__ = ("chain",)

    chain: deque[Kept]


class _Batch:
    """Entries on their way: those of one key as a chain, each after the broker has the one before.

    After `sent`: `arrived` are those that the broker has, `failed` those at which a chain ended, and why.
    """

    __slots__ = ("_chains", "_chains_left", "_over", "_publisher", "arrived", "failed")

    def __init__(self, entries: list[Kept], publisher: Publishing) -> None:
        self._publisher = publisher
        self.arrived: list[Kept] = []
        self.failed: list[tuple[Kept, str]] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        chains: dict[tuple[str, str], deque[Kept]] = {}
        for kept in entries:
            chains.setdefault(_key_of(kept), deque()).append(kept)
        self._chains = list(chains.values())
        self._chains_left = len(self._chains)

    async def sent(self) -> None:
        """Return when each chain is at its end or at one that failed. Cancelled, it sends no more."""
        try:
            for number, chain in enumerate(self._chains, 1):
                self._send_first(chain)
                if number % STRETCH == 0:
                    await asyncio.sleep(0)
            await self._over
        finally:
            self._over.cancel()

    def _send_first(self, chain: deque[Kept]) -> None:
        entry = chain[0].entry
        delivery = _OnItsWay(entry.topic, entry.key, entry.value, self._reported)
        delivery.chain = chain
        self._publisher.publish(delivery)

    def _reported(self, delivery: Delivery) -> None:
        assert isinstance(delivery, _OnItsWay)
        chain = delivery.chain
        kept = chain.popleft()
        if delivery.error is None:
            self.arrived.append(kept)
        else:
            self.failed.append((kept, delivery.error))
            chain.clear()
        if chain and not self._over.done():
            self._send_first(chain)
            return
        self._chains_left -= 1
        if not self._chains_left and not self._over.done():
            self._over.set_result(None)
