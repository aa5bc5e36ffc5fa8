"""What stands in a topic, decoded: the evidence that an acknowledged webhook was kept."""

from __future__ import annotations

import uuid
from collections.abc import Container
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec

R = TypeVar("R", bound=msgspec.Struct)
TIMEOUT_S = 20.0


class TopicReader:
    """Reads whole topics as they stand, every time from the beginning."""

    def __init__(self, bootstrap: str, registry: str) -> None:
        self.codec = Codec(registry)
        config = Kafka(bootstrap_servers=bootstrap).consumer("tests", uuid.uuid4().hex)
        self._consumer = Consumer({**config, "enable.partition.eof": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        self.codec.close()

    def all(
        self, topic: str, record_type: type[R], only: Container[str] | None = None
    ) -> list[tuple[str, R]]:
        """(key, record) of everything in the topic now, in the order of each partition.

        `only` are keys: what other tests wrote to a shared broker, this registry cannot decode.
        """
        partitions = self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        open_ends = set(partitions)
        found: list[tuple[str, R]] = []
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while open_ends:
            message = self._consumer.poll(TIMEOUT_S)
            assert message is not None, f"partitions {open_ends} of {topic} did not reach their end"
            error = message.error()
            if error is None:
                key = message.key()
                assert key is not None
                if only is None or key.decode() in only:
                    found.append((key.decode(), self.codec.decode(message.value(), record_type)))
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                open_ends.discard(message.partition())
        self._consumer.unassign()
        return found

    def of_sid(self, topic: str, record_type: type[R], sid: str) -> list[tuple[str, R]]:
        return [
            (key, record)
            for key, record in self.all(topic, record_type)
            if getattr(record, "message_sid", None) == sid
        ]
