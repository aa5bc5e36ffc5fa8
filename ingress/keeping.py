"""Where an accepted record is kept: at the broker, or on the local disk until the broker is back.

Guarantees: the future of `keep` resolves only when the record is with all in-sync replicas or fsynced in the
journal, and fails with NotKept otherwise; nothing blocks the event loop; of one key, records that were kept
one after the other are written to Kafka in that order (each for the first time: copies may follow).
Leaves to others: emptying the journal (`ingress.draining`), and what is answered.

How the order is kept: a key with an entry in the journal has its next records appended behind it, whether or
not the broker is back, and only the drain, which has at most one record of a key on its way, writes them.

    1. a record is handed to the producer            a crash loses it, and nobody was told it was kept
    2. the broker acknowledges: kept                 a crash loses nothing
    or, after `ack_timeout_s` or an error:
    2. it is appended to the journal                 a crash loses it or not, and nobody was told
    3. the journal's fsync returns: kept             a crash loses nothing; the next start drains it

A record of which the broker did not say in time that it has it is in the topic twice when the producer still
gets it there, which it goes on trying: readers know the second copy by its event id.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

import structlog

from ingress.errors import NotKept
from ingress.journal import Entry, Journal, JournalError
from ingress.publisher import Delivery, Publishing

log = structlog.get_logger("ingress.keeping")

# Deadlines are looked at this often, all at once: a timer for each record would cost a tenth of the record.
SWEEP_S = 0.05


class Where(Enum):
    """Where a record was kept when its webhook was answered."""

    BROKER = auto()
    JOURNAL = auto()


class Waiting(Protocol):
    """Whoever is told once where the record was kept, or why it was not: an asyncio.Future, for example."""

    def done(self) -> bool:
        """Whether it was told, or nobody waits any more."""

    def set_result(self, where: Where, /) -> None:
        """The record is kept."""

    def set_exception(self, trouble: BaseException, /) -> None:
        """It is not: NotKept, or a defect."""


class _Keeping(Delivery):
    """A record somebody waits for."""

    __slots__ = ("answer", "given_up", "handed_at", "received_at")

    answer: Waiting
    given_up: bool  # its fate is the journal's
    handed_at: float
    received_at: int


class Keeper:
    """For one event loop. `to_journal` says why records go to the journal now; None while they do not."""

    __slots__ = (
        "_ack_timeout_s",
        "_journal",
        "_loop",
        "_on_journaled",
        "_publisher",
        "_sweeping",
        "_waiting",
        "to_journal",
    )

    def __init__(
        self,
        publisher: Publishing,
        journal: Journal,
        *,
        ack_timeout_s: float,
        on_journaled: Callable[[], None],
    ) -> None:
        """`on_journaled` is called when the drain has something to do.

        That is: an entry came into the journal, or a broker went away that has to be asked for, as nothing
        else would when the journal is empty and takes nothing.
        """
        self._publisher = publisher
        self._journal = journal
        self._ack_timeout_s = ack_timeout_s
        self._on_journaled = on_journaled
        self._waiting: deque[_Keeping] = deque()  # oldest first, so that the sweep ends at the first in time
        self._sweeping = False
        self._loop = asyncio.get_running_loop()
        self.to_journal: str | None = None

    def keep(self, topic: str, key: str, value: bytes, received_at: int) -> "asyncio.Future[Where]":
        """Hand the record over; await the future. `received_at` is in milliseconds since the epoch."""
        answer: asyncio.Future[Where] = self._loop.create_future()
        self.keep_for(answer, topic, key, value, received_at)
        return answer

    def keep_for(self, answer: Waiting, topic: str, key: str, value: bytes, received_at: int) -> None:
        """As `keep`, for somebody who is not a future."""
        record = _Keeping(topic, key, value, self._reported)
        record.answer = answer
        record.received_at = received_at
        record.given_up = False
        if self.to_journal is not None or self._journal.holds(topic, key):
            self._append(record)
            return
        record.handed_at = self._loop.time()
        self._waiting.append(record)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP_S, self._sweep)
        self._publisher.publish(record)

    def broker_away(self, why: str) -> None:
        """From now on records go to the journal, at once also those that wait for the broker now."""
        if self.to_journal is None:
            log.warning("broker.away", detail=why, waiting=len(self._waiting))
        self.to_journal = why
        while self._waiting:
            record = self._waiting.popleft()
            if not record.answer.done() and not record.given_up:
                self._append(record)
        self._on_journaled()

    def broker_back(self) -> None:
        if self.to_journal is not None:
            log.info("broker.back", to_drain=self._journal.depth)
        self.to_journal = None

    def _reported(self, delivery: Delivery) -> None:
        assert isinstance(delivery, _Keeping)
        record = delivery
        if record.error is None:
            if not record.answer.done():
                # Also when its fsync is still under way: the broker has it, and that is what was asked.
                record.answer.set_result(Where.BROKER)
        elif not record.given_up and not record.answer.done():
            # It says nothing of the others: librdkafka tries again by itself until a time-out, so what it
            # reports sooner concerns this record or its topic.
            self._append(record)

    def _sweep(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].answer.done():
            waiting.popleft()
        if waiting and self._loop.time() - waiting[0].handed_at > self._ack_timeout_s:
            self.broker_away(f"no acknowledgement within {self._ack_timeout_s:g} s")
        if waiting:
            self._loop.call_later(SWEEP_S, self._sweep)
        else:
            self._sweeping = False

    def _append(self, record: _Keeping) -> None:
        record.given_up = True
        entry = Entry(record.topic, record.key, record.value, record.received_at)

        def appended(done: "asyncio.Future[None]") -> None:
            self._appended(record, done.exception())

        self._journal.append(entry).add_done_callback(appended)

    def _appended(self, record: _Keeping, trouble: BaseException | None) -> None:
        if trouble is None:
            self._on_journaled()
            if not record.answer.done():
                record.answer.set_result(Where.JOURNAL)
        elif not record.answer.done():
            if isinstance(trouble, JournalError):
                trouble = NotKept(f"broker: {self.to_journal or record.error}; journal: {trouble}")
            record.answer.set_exception(trouble)
