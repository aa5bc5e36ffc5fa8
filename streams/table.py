"""Rows by key and partition, kept in memory and in a changelog topic.

Guarantees: after `load` and `adopt` a partition's rows are those of the last committed transaction of whoever
owned it before; `put` writes the row to the changelog in the same transaction as the effects decided with it.
Replaces Faust's Table: that one's recovery waits for ever behind transaction markers, and its changelog goes
through the producer that loses sends (see `outputs`).
"""

from typing import Generic, NamedTuple, TypeVar

import msgspec

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.snapshot import read_partition
from streams.outputs import Outputs

R = TypeVar("R", bound=msgspec.Struct)


class NotRecovered(Exception):
    """A partition was used before its rows were there."""


class Change(NamedTuple, Generic[R]):
    """One row of one partition, and its bytes for the changelog."""

    partition: int
    key: bytes
    row: R
    value: bytes


class Table(Generic[R]):
    def __init__(self, kafka: Kafka, changelog: str, row_type: type[R], codec: Codec) -> None:
        self._kafka = kafka
        self._changelog = changelog
        self._row_type = row_type
        self._codec = codec
        self._partitions: dict[int, dict[bytes, R]] = {}

    def owned(self) -> frozenset[int]:
        return frozenset(self._partitions)

    def load(self, partition: int) -> dict[bytes, R]:
        """Read a partition's rows from the changelog. Blocks, touches nothing: call it from any thread."""
        rows: dict[bytes, R] = {}
        for entry in read_partition(self._kafka, "notifystream-recovery", self._changelog, partition):
            if entry.value is None:
                rows.pop(entry.key, None)
            else:
                rows[entry.key] = self._codec.decode(entry.value, self._row_type)
        return rows

    def adopt(self, partition: int, rows: dict[bytes, R]) -> None:
        """These are the partition's rows from now on."""
        self._partitions[partition] = rows

    def drop(self, partition: int) -> None:
        """Forget a partition that belongs to another process now."""
        self._partitions.pop(partition, None)

    def get(self, partition: int, key: bytes) -> R | None:
        return self._rows(partition).get(key)

    def change(self, partition: int, key: bytes, row: R) -> Change[R]:
        """A row as it will be put. Raises what the codec raises, and NotRecovered."""
        self._rows(partition)
        return Change(partition, key, row, self._codec.encode(self._changelog, row))

    def put(self, change: Change[R], outputs: Outputs) -> None:
        outputs.write(self._changelog, change.key, change.value, change.partition)
        self._rows(change.partition)[change.key] = change.row

    def _rows(self, partition: int) -> dict[bytes, R]:
        try:
            return self._partitions[partition]
        except KeyError:
            raise NotRecovered(f"{self._changelog} [{partition}] is not recovered here") from None
