"""Everybody who writes to the topics the sink reads: what `plan` says, in its order, as fast as it may.

Guarantees: never more than `most_unread` records before the readers; what is written is acknowledged by the
broker when `done`. `poison` knows where each unreadable record lies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message, Producer

from schemas.clients import Kafka
from tests.analytics.chaos.plan import Planned
from tests.analytics.chaos.recomputed import Place

_AT_ONCE = 1_000


class Outside:
    """Works from `with` to the end of the block. `allowed` is how many records may be written so far."""

    def __init__(self, kafka: Kafka, records: Iterator[Planned]) -> None:
        self.poison: dict[Place, str] = {}
        self.written = 0
        self.allowed = 0
        self._records = records
        self._producer = Producer(kafka.producer("outside", linger_ms=20) | {"log_level": 0})
        self._exhausted = False
        self._more = threading.Condition()
        self._end = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="outside")

    @property
    def done(self) -> bool:
        """Whether all is written and acknowledged. Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        return self._exhausted

    def allow(self, records: int) -> None:
        with self._more:
            self.allowed = max(self.allowed, records)
            self._more.notify()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._more:
            self._end = True
            self._more.notify()
        self._thread.join()
        self._producer.flush(10)
        self._producer.close()
        if error is None and self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._end:
                with self._more:
                    self._more.wait_for(lambda: self._end or self.written < self.allowed, 0.5)
                if self.written >= self.allowed:
                    self._producer.poll(0)
                    continue
                chunk = list(islice(self._records, min(_AT_ONCE, self.allowed - self.written)))
                if not chunk:
                    left = self._producer.flush(60)
                    assert left == 0, f"{left} records were never acknowledged"
                    self._exhausted = True
                    return
                for record in chunk:
                    self._produce(record, self._poison_put(record.poison) if record.poison else _put)
                self.written += len(chunk)
                self._producer.poll(0)
        except BaseException as failure:
            self._failure = failure

    def _produce(self, record: Planned, put: Callable[[KafkaError | None, Message], None]) -> None:
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key.encode(), on_delivery=put)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _poison_put(self, why: str) -> Callable[[KafkaError | None, Message], None]:
        def put(error: KafkaError | None, message: Message) -> None:
            _put(error, message)
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            self.poison[Place(topic, partition, offset)] = why

        return put


def _put(error: KafkaError | None, message: Message) -> None:
    assert error is None, error
