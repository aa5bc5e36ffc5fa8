"""Producers, persons, the sink and the provider in one thread, as `plan` says.

Guarantees: every command is answered once, by its id; a second copy is counted and must be the first one
again, byte for byte; what was written, and where what nobody can read lies, is told afterwards.
"""

from __future__ import annotations

import heapq
import threading
import time
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import (
    AttemptEvent,
    InboundMessage,
    NotifyRequest,
    OutboundCommand,
    ProviderStatus,
    Record,
)
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, CommandResult, Priority
from tests.streams.chaos.plan import Planned, Story, answers, refusal, story
from tests.streams.chaos.terms import PARTITIONS

_AT_ONCE = 50
_DELIVERY_TIMEOUT_MS = 120_000  # longer than any standstill of the broker


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


class Outside:
    """Works from `with` to the end of the block. `allowed` is how many notifications may be asked so far."""

    def __init__(self, kafka: Kafka, codec: Codec, seed: int, notifications: int) -> None:
        self.stories: dict[str, Story] = {}
        self.unreadable: dict[Place, bytes | None] = {}
        self.copies = 0
        self.commands = 0
        self.allowed = 0
        self._codec, self._seed, self._notifications = codec, seed, notifications
        producer = kafka.producer("outside", linger_ms=5, delivery_timeout_ms=_DELIVERY_TIMEOUT_MS)
        self._producer = Producer(producer)
        self._consumer = Consumer(kafka.consumer("outside", "outside"))
        self._waiting: list[tuple[int, int, Planned]] = []
        self._number = 0
        self._seen: dict[str, bytes] = {}
        self._canceled: set[str] = set()
        self._end = threading.Event()
        self.strange: list[str] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="outside")

    @property
    def done(self) -> bool:
        """Whether nothing is left to be asked or answered now. Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        return len(self.stories) == self._notifications and not self._waiting and len(self._producer) == 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._consumer.close()
        self._producer.close()
        if error is None and self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            lanes = [Topic.commands(lane) for lane in Priority]
            self._consumer.assign([TopicPartition(t, p, 0) for t in lanes for p in range(PARTITIONS)])
            while not self._end.is_set():
                for _ in range(min(_AT_ONCE, self.allowed - len(self.stories))):
                    self._ask()
                for message in self._consumer.consume(500, timeout=0.01):
                    assert message.error() is None, message.error()
                    self._obey(message.value() or b"")
                self._write_due()
                self._producer.poll(0)
            left = self._producer.flush(30)
            assert left == 0, f"{left} records were never acknowledged"
        except BaseException as failure:
            self._failure = failure

    def _ask(self) -> None:
        now = _now()
        told = story(self._seed, len(self.stories), now)
        for planned in told.records:
            self._plan(planned, now)
        self.stories[told.notification] = told

    def _obey(self, value: bytes) -> None:
        command = self._codec.decode(value, OutboundCommand)
        known = self._seen.setdefault(command.command_id, value)
        if known is not value:
            self.copies += 1
            if known != value:
                self.strange.append(f"{command.command_id} was commanded twice, and not in the same words")
            return
        self.commands += 1
        now = _now()
        # As the sink does: what is not started yet is then never started.
        started = f"{command.notification_id}:{command.attempt}"
        if command.kind is CommandKind.CANCEL and started not in self._seen:
            self._canceled.add(started)
        if command.kind is CommandKind.SEND:
            if command.command_id in self._canceled:
                self._plan(refusal(command, CommandResult.CANCELED), now)
                return
            if command.not_after <= now:
                self._plan(refusal(command, CommandResult.EXPIRED), now)
                return
        for planned in answers(self._seed, self.stories[command.notification_id].fate, command):
            self._plan(planned, now)

    def _plan(self, planned: Planned, now: int) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (now + planned.after_ms, self._number, planned))

    def _write_due(self) -> None:
        now = _now()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, (_, topic, key, value) = self._waiting[0]
            if isinstance(value, Record):
                record = _stamped(value, now)
                unreadable = isinstance(record, NotifyRequest) and not record.tenant
                self._produce(topic, key, self._codec.encode(topic, record), unreadable=unreadable)
            else:
                self._produce(topic, key, value, unreadable=True)
            heapq.heappop(self._waiting)

    def _produce(self, topic: Topic, key: str, value: bytes | None, *, unreadable: bool) -> None:
        def put(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            if unreadable:
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                self.unreadable[Place(topic, partition, offset)] = value

        while True:
            try:
                self._producer.produce(topic, value, key.encode(), on_delivery=put)
                return
            except BufferError:  # the broker stands still: wait for it
                self._producer.poll(0.1)


def _stamped(record: Record, now: int) -> Record:
    """With the time at which it is written, where it has one."""
    match record:
        case AttemptEvent():
            return msgspec.structs.replace(record, at=now)
        case ProviderStatus() | InboundMessage():
            return msgspec.structs.replace(record, received_at=now)
    return record


def _now() -> int:
    return time.time_ns() // 1_000_000
