"""Rows by key and partition, on the local disk and in a changelog topic.

Guarantees: after `load` and `adopt` a partition's rows are those of the last committed transaction of whoever
owned it before; a row that was `put` is in the changelog by the same transaction as the effects decided with
it, and the disk has it only once that is committed (`store.partition`). In memory are the uncommitted rows
and a bounded number of recent ones. Replaces Faust's Table: that one's recovery waits for ever behind
transaction markers, and its changelog goes through the producer that loses sends (see `outputs`).
"""

import time
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

import msgspec

from schemas.clients import Kafka
from streams.outputs import Outputs, Rows
from streams.store.database import Database
from streams.store.errors import NotRecovered
from streams.store.partition import Due, Partition
from streams.store.recovery import Changelog, is_too_old
from streams.store.rows import RowCodec

R = TypeVar("R", bound=msgspec.Struct)

HOT_ROWS = 20_000


class Change(NamedTuple, Generic[R]):
    """One row of one partition, before and after (None: there is none), and its bytes."""

    partition: int
    key: bytes
    before: R | None
    after: R | None
    value: bytes | None


class Loaded(NamedTuple):
    """A partition brought up to its changelog, and how many records had to be read for it."""

    store: Partition
    read: int


class Table(Generic[R]):
    """One table of a process. `number` tells its rows from another table's in the same database.

    `load` may run in any thread; everything else belongs to the event loop's, but `settle`.
    """

    def __init__(
        self,
        kafka: Kafka,
        changelog: str,
        codec: RowCodec[R],
        database: Database,
        number: int,
        hot_rows: int = HOT_ROWS,
    ) -> None:
        self.changelog = changelog
        self._kafka = kafka
        self._codec = codec
        self._database = database
        self._number = number
        self._partitions: dict[int, Partition] = {}
        self._recent = _Recent[R](hot_rows)
        self._sealed: list[Partition] = []

    def owned(self) -> frozenset[int]:
        return frozenset(self._partitions)

    def recovery(self) -> Changelog:
        """What `load` reads from; to be closed, or used as a context manager."""
        return Changelog(self._kafka, self.changelog)

    def load(self, source: Changelog, partition: int, stopped: Callable[[], bool] = lambda: False) -> Loaded:
        """A partition as the changelog has it. Blocks; touches no partition that is in use.

        Raises RecoveryInterrupted once `stopped()`, and what `Changelog.catch_up` raises.
        """
        store = Partition(self._database, self._number, partition)
        return Loaded(store, source.catch_up(store, time.time_ns() // 1_000_000, stopped))

    def tidy(self, source: Changelog) -> None:
        """Throw away what is on the disk of partitions that have long been another process's. Blocks."""
        now = time.time_ns() // 1_000_000
        for number in range(source.partitions):
            if number not in self._partitions:
                store = Partition(self._database, self._number, number)
                if store.reached.source and is_too_old(store, now):
                    store.begin_again("")

    def adopt(self, loaded: Loaded) -> None:
        """This is the partition from now on."""
        self._partitions[loaded.store.number] = loaded.store

    def drop(self, partition: int) -> None:
        """Forget a partition that belongs to another process now. Its rows stay on the disk, in case it comes
        back; what was not committed is forgotten."""
        if self._partitions.pop(partition, None) is not None:
            self._recent.forget(partition)

    def get(self, partition: int, key: bytes) -> R | None:
        """Raises NotRecovered, StoreBroken, RowUnreadable."""
        row = self._recent.get(partition, key)
        if row is None:
            value = self._partition(partition).get(key)
            if value is None:
                return None
            row = self._codec.decode(value)
            self._recent.put(partition, key, row)
        return row

    def change(self, partition: int, key: bytes, before: R | None, after: R | None) -> Change[R]:
        """A row as it will be put; `before` is what `get` returned. Raises NotRecovered."""
        self._partition(partition)
        value = None if after is None else self._codec.encode(after)
        return Change(partition, key, before, after, value)

    def put(self, change: Change[R], outputs: Outputs) -> None:
        """Carry a change out, as part of the open transaction."""
        partition, key, before, after, value = change
        due_at = self._codec.due_at
        outputs.changed()
        self._partition(partition).put(
            key,
            value,
            None if before is None else due_at(before),
            None if after is None else due_at(after),
            new=before is None,
        )
        self._recent.put(partition, key, after)

    def pop_due(self, now: int, at_most: int) -> list[Due]:
        """Deadlines of all partitions here that have come by `now` (ms), at most so many of each."""
        return [due for store in self._partitions.values() for due in store.pop_due(now, at_most)]

    def seal(self) -> list[Rows]:
        """A transaction with everything put so far is about to be committed, and these rows with it."""
        self._sealed = list(self._partitions.values())
        return [Rows(self.changelog, store.number, store.seal()) for store in self._sealed]

    def settle(self, reached: Mapping[tuple[str, int], int], at: int) -> None:
        """That transaction is committed; `reached` is the offset behind it by topic and partition."""
        for store in self._sealed:
            store.settle(reached.get((self.changelog, store.number)), at)
        self._sealed = []

    @property
    def rows(self) -> int:
        return sum(store.rows for store in self._partitions.values())

    @property
    def timers(self) -> int:
        """Rows with a deadline."""
        return sum(store.timers for store in self._partitions.values())

    def _partition(self, partition: int) -> Partition:
        try:
            return self._partitions[partition]
        except KeyError:
            raise NotRecovered(f"{self.changelog} [{partition}] is not recovered here") from None


class _Recent(Generic[R]):
    """At most 2 x `size` rows: two generations; the older is thrown away when the younger is full."""

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[tuple[int, bytes], R] = {}
        self._old: dict[tuple[int, bytes], R] = {}

    def get(self, partition: int, key: bytes) -> R | None:
        place = (partition, key)
        row = self._young.get(place)
        if row is None:
            row = self._old.get(place)
            if row is not None:
                self.put(partition, key, row)
        return row

    def put(self, partition: int, key: bytes, row: R | None) -> None:
        place = (partition, key)
        if row is None:
            self._young.pop(place, None)
            self._old.pop(place, None)
            return
        if len(self._young) >= self._size and place not in self._young:
            self._old, self._young = self._young, {}
        self._young[place] = row

    def forget(self, partition: int) -> None:
        self._young = {place: row for place, row in self._young.items() if place[0] != partition}
        self._old = {place: row for place, row in self._old.items() if place[0] != partition}
