"""What was told of each command, followed while it is committed."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import AttemptEvent
from schemas.topics import Topic
from schemas.vocabulary import CommandResult
from tests.outbound.chaos.terms import PARTITIONS
from tests.outbound.world import FINAL


class Book:
    """`told` in the order of the topic; `doubted` are commands that were in doubt at some time."""

    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self.told: dict[str, list[AttemptEvent]] = {}
        self.doubted: list[str] = []
        self._ended: set[str] = set()
        self._codec = codec
        self._consumer = Consumer(kafka.consumer("book", "book"))
        self._consumer.assign([TopicPartition(Topic.ATTEMPTS, number, 0) for number in range(PARTITIONS)])

    @property
    def ended(self) -> int:
        """Commands with an end, held ones included."""
        return len(self._ended)

    def read(self, timeout_s: float) -> int:
        """What has come since, waiting so long at most for the first. Returns how many."""
        messages = self._consumer.consume(2_000, timeout_s)
        for message in messages:
            assert message.error() is None, message.error()
            event = self._codec.decode(message.value(), AttemptEvent)
            self.told.setdefault(event.command_id, []).append(event)
            if event.result is CommandResult.IN_DOUBT:
                self.doubted.append(event.command_id)
            if event.result in FINAL:
                self._ended.add(event.command_id)
        return len(messages)

    def close(self) -> None:
        self._consumer.close()
