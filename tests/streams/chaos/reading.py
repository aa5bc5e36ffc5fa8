"""What stands in a partition, raw and committed, with where each record lies."""

from __future__ import annotations

import time
from collections.abc import Generator
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.clients import Kafka

_SILENCE_S = 60.0


class Raw(NamedTuple):
    offset: int
    at: int
    key: bytes
    value: bytes | None


class Reader:
    """One consumer for one partition after the other."""

    def __init__(self, kafka: Kafka) -> None:
        config = kafka.consumer("verdict", "verdict")
        self._consumer = Consumer(config | {"enable.partition.eof": True, "fetch.wait.max.ms": 10})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def records(self, topic: str, partition: int, start: int = 0) -> Generator[Raw, None, None]:
        """From `start` to the end as it is when that is reached. To be read up, or closed, before the next.

        Raises TimeoutError when the broker is silent.
        """
        self._consumer.assign([TopicPartition(topic, partition, start)])
        try:
            deadline = time.monotonic() + _SILENCE_S
            while True:
                for message in self._consumer.consume(10_000, 0.1):
                    error = message.error()
                    if error is not None:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        return
                    offset = message.offset()
                    assert offset is not None
                    yield Raw(offset, message.timestamp()[1], message.key() or b"", message.value())
                    deadline = time.monotonic() + _SILENCE_S
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{topic} [{partition}] did not reach its end in {_SILENCE_S:g} s")
        finally:
            self._consumer.unassign()
