"""A broker and a registry around the stream processors, and what stands in their topics.

Both brokers are of a world's own: the processors' topics and group have fixed names.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.identity import notification_id
from schemas.records import DeadLetter, NotificationOutcome, NotifyRequest, OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, Priority
from tests import servers
from tests.ingress.topic import TopicReader
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker
from tests.kafka.external import skip_or_fail
from tests.waiting import wait_until

R = TypeVar("R", bound=msgspec.Struct)
PARTITIONS = 4
WAIT_S = 60.0
TENANT = "acme"


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class World:
    bootstrap: str
    registry: str
    codec: Codec
    producer: Producer
    reader: TopicReader

    @property
    def kafka(self) -> Kafka:
        return Kafka(bootstrap_servers=self.bootstrap)

    def write(self, topic: Topic, key: str, value: msgspec.Struct | bytes | None) -> Place:
        """Returns where the broker put it."""
        places: list[Place] = []

        def put(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            places.append(Place(topic, partition, offset))

        encoded = self.codec.encode(topic, value) if isinstance(value, msgspec.Struct) else value
        self.producer.produce(topic, encoded, key.encode(), on_delivery=put)
        assert self.producer.flush(WAIT_S) == 0
        return places[0]

    def ask(self, key: str, **changes: Any) -> str:
        """Write a notify request; returns its notification's id."""
        values: dict[str, Any] = {
            "tenant": TENANT,
            "idempotency_key": key,
            "recipient": "+4915123456789",
            "body": "hello",
        }
        request = NotifyRequest(**(values | changes))
        self.write(Topic.NOTIFY_REQUESTED, key, request)
        return notification_id(request.tenant, request.idempotency_key)

    def all(self, topic: Topic, record_type: type[R]) -> list[R]:
        """Everything committed in the topic, in the order of each partition."""
        return [record for _, record in self.reader.all(topic, record_type)]

    def stories(self) -> Mapping[str, list[NotificationOutcome]]:
        """All outcomes by notification, in their order."""
        told: dict[str, list[NotificationOutcome]] = {}
        for outcome in self.all(Topic.OUTCOMES, NotificationOutcome):
            told.setdefault(outcome.notification_id, []).append(outcome)
        return told

    def outcome(self, notification: str) -> NotificationOutcome | None:
        """The latest."""
        return next(iter(self.stories().get(notification, [])[-1:]), None)

    def await_outcome(self, notification: str, **wanted: object) -> NotificationOutcome:
        """Wait until the latest outcome has these values."""

        def found() -> NotificationOutcome | None:
            latest = self.outcome(notification)
            matches = latest is not None and all(getattr(latest, k) == v for k, v in wanted.items())
            return latest if matches else None

        told = wait_until(found, WAIT_S, f"the outcome of {notification} to have {wanted}")
        assert told is not None
        return told

    def commands(self, notification: str | None = None) -> list[OutboundCommand]:
        """Every send commanded, or those of one notification."""
        return [
            command
            for lane in Priority
            for command in self.all(Topic.commands(lane), OutboundCommand)
            if command.kind is CommandKind.SEND and notification in (None, command.notification_id)
        ]

    def await_command(self, notification: str) -> OutboundCommand:
        return wait_until(lambda: self.commands(notification), WAIT_S, f"a command for {notification}")[0]

    def await_dead_letter(self, place: Place) -> DeadLetter:
        def found() -> list[DeadLetter]:
            letters = self.all(Topic.DEAD_LETTERS, DeadLetter)
            return [each for each in letters if (each.topic, each.partition, each.offset) == place]

        return wait_until(found, WAIT_S, f"a dead letter of {place}")[0]


@contextmanager
def connected(bootstrap: str, registry: str) -> Iterator[World]:
    producer = Producer(Kafka(bootstrap_servers=bootstrap).producer("tests", linger_ms=0) | {"log_level": 0})
    codec = Codec(registry)
    with TopicReader(bootstrap, registry) as reader:
        try:
            yield World(bootstrap, registry, codec, producer, reader)
        finally:
            producer.close()
            codec.close()


@contextmanager
def on_the_embedded_broker(directory: Path) -> Iterator[World]:
    options = [option for topic in Topic for option in ("--topic", topic)]
    with (
        servers.running("sandbox.registry", log=directory / "registry.log") as registry,
        servers.running("sandbox.broker", *options, log=directory / "broker.log") as broker,
        connected(broker.address, registry.address) as world,
    ):
        yield world


@contextmanager
def on_a_real_broker(directory: Path) -> Iterator[World]:
    if (reason := jars.why_unavailable()) is not None:
        skip_or_fail(f"needs a real Kafka of its own: {reason}")
    with ExitStack() as stack:
        registry = stack.enter_context(servers.running("sandbox.registry", log=directory / "registry.log"))
        broker = stack.enter_context(KafkaBroker(directory / "kafka"))
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in Topic]).values():
            made.result(30)
        yield stack.enter_context(connected(broker.bootstrap, registry.address))


@contextmanager
def streams(
    world: World, directory: Path, instance: str = "0", *options: str, datadir: Path | None = None
) -> Iterator[servers.Server]:
    """A process of the processors, from its first recovered partitions to the end of the block.

    Without `datadir` it starts without rows on its disk.
    """
    datadir = datadir or directory / f"faust-{instance}-{uuid.uuid4().hex[:6]}"
    with servers.running(
        "tests.streams.serve",
        *("--bootstrap", world.bootstrap, "--registry", world.registry),
        *("--instance", instance, "--datadir", str(datadir)),
        *options,
        log=directory / f"streams-{instance}.log",
    ) as server:
        yield server
