"""Everything the processors write, in Kafka transactions: state and effects appear together or not at all.

Why not Faust's own producer: its flush before an offset commit gives up after 0.1 s, and a failed send is
only logged (facts, Faust table). Here every write of every event goes into one transaction of librdkafka's
producer, and Faust commits offsets only after `flush`, which commits the transaction first:

1. Events are decided; effects are written, changed rows are kept.
   A crash here: the transaction is aborted, nobody sees anything, the events are read again.
2. The changed rows are written to their changelogs, and the transaction is committed.
   A crash here: the events are read again, the recovered rows know them, nothing is written twice.
3. The rows go to the local disk (`store.partition`).
   A crash here: as after 2, and there is less to recover.
4. Faust commits the offsets.
   A crash here: nothing is left to do.

Writes that come while a commit is under way wait in memory and open the next transaction.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.clients import Kafka

_COMMIT_TIMEOUT_S = 30.0
_SOON_S, _LATER_S, _MUCH = 0.01, 0.05, 20


class Write(NamedTuple):
    topic: str
    key: bytes
    value: bytes | None
    partition: int = -1


class Rows(NamedTuple):
    """Rows of one partition of a changelog by key, as a transaction leaves them; None: there is none."""

    topic: str
    partition: int
    changes: Mapping[bytes, bytes | None]


class Keeper(Protocol):
    """Who keeps rows: asked for them before every commit, and told of it afterwards."""

    def seal(self) -> Iterable[Rows]:
        """Everything changed so far is about to be committed, and these rows with it; what is changed from
        now on is not part of it."""

    def settle(self, reached: Mapping[tuple[str, int], int], at: int) -> None:
        """It is committed, at `at` (ms). `reached`: the offset behind the last row by topic and partition.
        Called in a thread of its own."""


class OutputsFailed(Exception):
    """A transaction could not be committed: the process must end and start again from what is committed."""


class Outputs:
    """Not shared between event loops. `flush` may be called from any task of the loop.

    `may_commit` is asked before each commit and raises when this process may no longer write.
    """

    def __init__(
        self, kafka: Kafka, transactional_id: str, may_commit: Callable[[], None] = lambda: None
    ) -> None:
        self._producer = Producer(
            kafka.producer(transactional_id, linger_ms=2, delivery_timeout_ms=14_000)
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": 15_000,
                # As shipped (100) every back-to-back transaction takes 100 ms (facts, Kafka; KAFKA-5477).
                "retry.backoff.ms": 1,
                "retry.backoff.max.ms": 100,
            }
        )
        self._lock = asyncio.Lock()
        self._open = False
        self._committing = False
        self._waiting: list[Write] = []
        self._changed_meanwhile = 0
        self._failure: BaseException | None = None
        self._keepers: list[Keeper] = []
        self._reached: dict[tuple[str, int], int] = {}
        self._may_commit = may_commit
        self.transactions = 0
        self.pending = 0
        self.opened_at = 0.0
        self.committed_at = time.monotonic()

    def attach(self, keeper: Keeper) -> None:
        self._keepers.append(keeper)

    async def start(self) -> None:
        """Fence a predecessor of the same id and abort what it left open. Raises OutputsFailed."""
        await self._in_thread(lambda: self._producer.init_transactions(_COMMIT_TIMEOUT_S))

    @property
    def dirty(self) -> bool:
        return self._open or self.backlog > 0

    @property
    def ripe(self) -> bool:
        """Whether it is time to commit. A transaction costs the broker the same for one record as for many:
        so soon when there is little, somewhat later when there is much."""
        if not self._open:
            return False
        waited = time.monotonic() - self.opened_at
        return waited >= _SOON_S and (self.pending < _MUCH or waited >= _LATER_S)

    @property
    def backlog(self) -> int:
        """Writes and changed rows that wait behind a commit."""
        return len(self._waiting) + self._changed_meanwhile

    def write(self, topic: str, key: bytes, value: bytes | None, partition: int = -1) -> None:
        """Put one record into the transaction. partition -1: by the key's murmur2 hash."""
        if self._committing:
            self._waiting.append(Write(topic, key, value, partition))
        else:
            self._begun()
            self._produce(topic, key, value, partition)

    def changed(self) -> None:
        """A keeper's row was changed, which is part of the transaction that is open now. Each such row is
        written once, at the commit, however often it was changed before that."""
        if self._committing:
            self._changed_meanwhile += 1
        else:
            self._begun()

    async def flush(self) -> None:
        """Commit everything written before this call.

        Raises OutputsFailed when that did not happen, StoreBroken when the disk failed behind it; and
        OutputsFailed at every later call.
        """
        async with self._lock:
            if self._failure is not None:
                raise OutputsFailed("an earlier transaction failed") from self._failure
            if not self._open:
                self.committed_at = time.monotonic()
                return
            try:
                for keeper in self._keepers:
                    for rows in keeper.seal():
                        self._produce_rows(rows)
            except BaseException as failed:  # a sealed row that is in no transaction would be lost
                self.fail(failed)
                raise
            self._committing = True
            try:
                await self._in_thread(self._commit)
            finally:
                self._committing = False
            self._open = False
            self.transactions += 1
            self.committed_at = time.monotonic()
            try:
                self._open_next()
            except BaseException as failed:  # what waited is in part in the next transaction, in part nowhere
                self.fail(failed)
                raise

    def fail(self, why: BaseException) -> None:
        """Make sure that nothing written so far is ever committed."""
        self._failure = self._failure or why

    def close(self) -> None:
        """Let go of the broker. What was not flushed is aborted."""
        self._producer.close()

    def _commit(self) -> None:
        self._may_commit()
        self._producer.commit_transaction(_COMMIT_TIMEOUT_S)
        self._producer.poll(0)  # the last reports, should the commit have left any
        reached, self._reached = self._reached, {}
        at = time.time_ns() // 1_000_000
        for keeper in self._keepers:
            keeper.settle(reached, at)

    def _open_next(self) -> None:
        """Begin the next transaction with what waited behind the last."""
        waiting, self._waiting = self._waiting, []
        if self._changed_meanwhile:
            self._changed_meanwhile = 0
            self._begun()
        for write in waiting:
            self._begun()
            self._produce(*write)

    def _begun(self) -> None:
        """There is an open transaction, with one thing more in it."""
        if not self._open:
            self._producer.begin_transaction()
            self._open = True
            self.opened_at, self.pending = time.monotonic(), 0
        self.pending += 1

    def _produce_rows(self, rows: Rows) -> None:
        left = len(rows.changes)
        for key, value in rows.changes.items():
            left -= 1
            # A report costs as much as the record: only the last one of the partition is asked for.
            self._produce(rows.topic, key, value, rows.partition, None if left else self._delivered)

    def _produce(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        partition: int,
        report: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, partition=partition, on_delivery=report)
                return
            except BufferError:
                self._producer.poll(0.05)  # the local queue is full: wait for the broker

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        # With an error the transaction cannot be committed, and says so. Without an offset the broker had
        # the record already when it was sent again: the disk then claims less than it has, and reads it anew.
        offset = message.offset()
        if error is None and offset is not None:
            self._reached[message.topic(), message.partition()] = offset + 1  # type: ignore[index]

    async def _in_thread(self, call: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, call)
        except KafkaException as failed:
            self.fail(failed)
            raise OutputsFailed(str(failed.args[0])) from failed
        except BaseException as failed:
            self.fail(failed)
            raise
