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


class _Keeping(Delivery):
    """A record somebody waits for."""

    __slots__ = ("answer", "given_up", "handed_at", "received_at")

    def __init__(
        self,
        topic: str,
        key: str,
        value: bytes,
        on_report: Callable[[Delivery], None],
        received_at: int,
        answer: "asyncio.Future[Where]",
        handed_at: float,
    ) -> None:
        super().__init__(topic, key, value, on_report)
        self.received_at = received_at
        self.answer = answer
        self.handed_at = handed_at
        self.given_up = False  # its fate is the journal's


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
        """`on_journaled` is called when an entry is in the journal that the broker is to have."""
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
        loop = self._loop
        answer: asyncio.Future[Where] = loop.create_future()
        record = _Keeping(topic, key, value, self._reported, received_at, answer, loop.time())
        if self.to_journal is not None or self._journal.holds(topic, key):
            self._append(record)
            return answer
        self._waiting.append(record)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_S, self._sweep)
        self._publisher.publish(record)
        return answer

    def broker_away(self, why: str) -> None:
        """From now on records go to the journal, at once also those that wait for the broker now."""
        if self.to_journal is None:
            log.warning("broker.away", detail=why, waiting=len(self._waiting))
        self.to_journal = why
        while self._waiting:
            record = self._waiting.popleft()
            if not record.answer.done() and not record.given_up:
                self._append(record)

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
            self.broker_away(record.error)  # takes this record along with all that wait
            if not record.given_up:
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
