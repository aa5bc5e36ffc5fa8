"""Everything outside the processors, in a thread: producers that ask, a sink and a provider that answer.

Guarantees: every command seen is answered, once for each id, with copies and early callbacks mixed in;
what was asked, and what must be found unreadable, is told after `stop`. It does not notice whether the
processors run.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.identity import conflict_id, notification_id
from schemas.records import AttemptEvent, NotifyRequest, OutboundCommand, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandResult, Priority
from streams.intake import content_hash
from tests.streams.world import PARTITIONS, TENANT, Place, World


@dataclass(slots=True)
class Asked:
    """What the processors must make of what was asked."""

    valid: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)
    repeats: dict[str, int] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)
    unreadable: dict[Place, bytes] = field(default_factory=dict)


class Outside:
    """`with Outside(…) as outside:` works from the start of the block; leaving it stops the thread and raises
    what went wrong there. `per_s`: how many are asked in a second at most."""

    def __init__(self, world: World, notifications: int, seed: int, per_s: float = 200.0) -> None:
        self.asked = Asked()
        self._world = world
        self._left = notifications
        self._per_s = per_s
        self._random = random.Random(seed)
        self._producer = Producer(world.kafka.producer("outside", linger_ms=1))
        self._consumer = Consumer(world.kafka.consumer("outside", "outside"))
        self._answered: set[str] = set()
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work)

    @property
    def all_asked(self) -> bool:
        if self._failure is not None:
            raise self._failure
        return self._left == 0

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
            begun, wanted = time.monotonic(), self._left
            while not self._end.is_set():
                allowed = int((time.monotonic() - begun) * self._per_s)
                while self._left > max(0, wanted - allowed):
                    self._ask()
                    self._left -= 1
                for message in self._consumer.consume(20, timeout=0.02):
                    assert message.error() is None, message.error()
                    self._answer(self._world.codec.decode(message.value(), OutboundCommand))
                self._producer.poll(0)
            assert self._producer.flush(30) == 0
        except BaseException as failure:
            self._failure = failure

    def _ask(self) -> None:
        chance = self._random.random()
        number = f"+49151{self._random.randrange(10**8):08}"
        request = NotifyRequest(
            tenant=TENANT, idempotency_key=f"k{self._left}", recipient=number, body="hello"
        )
        notification = notification_id(TENANT, request.idempotency_key)
        if chance < 0.1:
            request = msgspec.structs.replace(request, recipient="+49123")
            self.asked.invalid.add(notification)
        else:
            self.asked.valid.add(notification)
        self._put(request)
        if chance < 0.3:
            self.asked.repeats[notification] = 1 + (chance < 0.15)
            for _ in range(self.asked.repeats[notification]):
                self._put(request)
        if 0.3 < chance < 0.35:
            other = msgspec.structs.replace(request, body="something else")
            self.asked.conflicts.add(conflict_id(notification, content_hash(other)))
            self._put(other)
        if 0.35 < chance < 0.4:
            self._garbage(self._random.choice([Topic.NOTIFY_REQUESTED, Topic.STATUS, Topic.CHECKS]))

    def _put(self, request: NotifyRequest) -> None:
        value = self._world.codec.encode(Topic.NOTIFY_REQUESTED, request)
        # By key, so that a repeat comes after what it repeats.
        self._produce(Topic.NOTIFY_REQUESTED, request.idempotency_key, value)

    def _garbage(self, topic: Topic) -> None:
        value = b"\xff" + self._random.randbytes(20)

        def put(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            self.asked.unreadable[Place(topic, partition, offset)] = value

        self._producer.produce(topic, value, b"garbage", on_delivery=put)

    def _answer(self, command: OutboundCommand) -> None:
        if command.command_id in self._answered:
            return
        self._answered.add(command.command_id)
        sid = f"SM{len(self._answered):032x}"
        now = time.time_ns() // 1_000_000
        event = AttemptEvent(
            notification_id=command.notification_id,
            attempt=command.attempt,
            command_id=command.command_id,
            tenant=TENANT,
            sender=command.sender,
            result=CommandResult.ACCEPTED,
            sid=sid,
            status="queued",
            at=now,
        )
        events: list[tuple[Topic, AttemptEvent | ProviderStatus]] = [(Topic.ATTEMPTS, event)]
        for age, status in enumerate(["queued", "sent", "delivered"]):
            report = ProviderStatus(
                event_id=f"{sid}:{status}",
                provider="twilio",
                account_sid="AC" + "0" * 32,
                message_sid=sid,
                notification_id=command.notification_id,
                attempt=command.attempt,
                status=status,
                channel=Channel.SMS,
                received_at=now + age,
                source="callback",
            )
            events += [(Topic.STATUS, report)] * self._random.choice([1, 1, 2])
        self._random.shuffle(events)
        for topic, record in events:
            self._produce(topic, command.notification_id, self._world.codec.encode(topic, record))

    def _produce(self, topic: Topic, key: str, value: bytes) -> None:
        self._producer.produce(topic, value, key.encode(), on_delivery=_delivered)


def _delivered(error: KafkaError | None, message: Message) -> None:
    assert error is None, error
