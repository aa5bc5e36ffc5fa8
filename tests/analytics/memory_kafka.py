"""One consumer group in memory, with what the sink asks of Kafka: order, positions, commits with their notes.

For tests of what a crash leaves behind, where a broker would only add seconds of rebalancing. What a broker
does with the same calls is tested with brokers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition


@dataclass(frozen=True, slots=True)
class Record:
    """As confluent_kafka's Message answers."""

    place: tuple[str, int, int]
    data: bytes

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.place[2]

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return self.data


@dataclass(slots=True)
class Log:
    """The partitions, what the group has committed, and the note with it; outlives its consumers."""

    records: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    committed: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)

    def done(self) -> bool:
        """Everything is committed, and no range is announced any more."""
        return all(self.committed.get(of) == (len(held), "") for of, held in self.records.items())

    def consumer(self, settings: dict[str, Any]) -> Consumer:
        return Consumer(self)


class Consumer:
    """The only member of the group; all partitions are its own from the first call of `consume`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[tuple[str, int], int] = {}
        self._on_assign: Callable[..., None] | None = None
        self._owned: list[TopicPartition] = []

    def subscribe(self, topics: list[str], on_assign: Callable[..., None], **_: Any) -> None:
        self._on_assign = on_assign

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._owned = partitions
        for partition in partitions:
            of = partition.topic, partition.partition
            self._positions[of] = self._log.committed.get(of, (0, ""))[0]

    def assignment(self) -> list[TopicPartition]:
        return self._owned

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Nobody else could take these partitions: nothing has to stand still."""

    def resume(self, partitions: list[TopicPartition]) -> None:
        """As `pause`."""

    def consume(self, most: int, timeout: float) -> list[Record]:
        if self._on_assign is not None:
            told, self._on_assign = self._on_assign, None
            told(self, [TopicPartition(*of) for of in self._log.records])
        found: list[Record] = []
        for of, position in self._positions.items():
            coming = self._log.records[of][position : position + most - len(found)]
            found += [Record((*of, position + number), data) for number, data in enumerate(coming)]
            self._positions[of] = position + len(coming)
        return found

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        answer = []
        for asked in partitions:
            offset, note = self._log.committed.get((asked.topic, asked.partition), (-1001, ""))
            answer.append(TopicPartition(asked.topic, asked.partition, offset, metadata=note))
        return answer

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        for given in offsets:
            self._log.committed[given.topic, given.partition] = (given.offset, given.metadata or "")
        return offsets

    def get_watermark_offsets(self, asked: TopicPartition, **_: Any) -> tuple[int, int]:
        return 0, len(self._log.records[asked.topic, asked.partition])

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [
            TopicPartition(asked.topic, asked.partition, self._positions[asked.topic, asked.partition])
            for asked in partitions
        ]

    def close(self) -> None:
        self._positions.clear()
