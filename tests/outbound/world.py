"""A broker, a registry and what is written to and read from the sink's topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import AttemptEvent, OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import CommandResult, Priority
from tests import servers
from tests.ingress.topic import TopicReader
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker
from tests.kafka.external import skip_or_fail
from tests.waiting import wait_until

R = TypeVar("R", bound=msgspec.Struct)
PARTITIONS = 4
TOPICS = (
    *(Topic.commands(lane) for lane in Priority),
    Topic.JOURNAL,
    Topic.CONTROLS,
    Topic.SENDERS,
    Topic.ATTEMPTS,
    Topic.STATUS,
    Topic.DEAD_LETTERS,
    Topic.CONSENT_CHANGES,
    Topic.INBOUND,
)
FINAL = frozenset(CommandResult) - {CommandResult.STARTED, CommandResult.IN_DOUBT}


@dataclass(frozen=True, slots=True)
class World:
    bootstrap: str
    registry: str
    codec: Codec
    producer: Producer
    reader: TopicReader

    def write(self, topic: Topic, key: str, record: msgspec.Struct | bytes) -> None:
        """Returns when the broker has it."""
        self.put(topic, key, record)
        assert self.producer.flush(20) == 0

    def put(self, topic: Topic, key: str, record: msgspec.Struct | bytes) -> None:
        """Returns at once; `write` and `flush` wait for it."""
        value = record if isinstance(record, bytes) else self.codec.encode(topic, record)
        self.producer.produce(topic, value, key.encode())

    def command(self, *commands: OutboundCommand, lane: Priority = Priority.NORMAL) -> None:
        for each in commands:
            self.put(Topic.commands(lane), each.sender, each)
        assert self.producer.flush(20) == 0

    def read(self, topic: Topic, record_type: type[R]) -> list[R]:
        return [record for _, record in self.reader.all(topic, record_type)]

    def attempts(self) -> Mapping[str, list[AttemptEvent]]:
        """All attempt events by command, in their order."""
        told: dict[str, list[AttemptEvent]] = {}
        for event in self.read(Topic.ATTEMPTS, AttemptEvent):
            told.setdefault(event.command_id, []).append(event)
        return told

    def results(self, command_id: str) -> list[CommandResult]:
        return [event.result for event in self.attempts().get(command_id, [])]

    def await_result(self, command_id: str, *results: CommandResult, timeout_s: float = 30.0) -> AttemptEvent:
        """Wait for the last of these results, which are all that was told of the command until then."""
        wait_until(
            lambda: self.results(command_id)[-1:] == list(results[-1:]),
            timeout_s,
            f"{command_id} to be {results}",
        )
        events = self.attempts()[command_id]
        assert [event.result for event in events] == list(results)
        return events[-1]

    def await_final(
        self,
        commands: list[OutboundCommand],
        timeout_s: float,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Mapping[str, list[AttemptEvent]]:
        """Wait until a final result of every command was told."""

        def open_ones() -> list[str]:
            meanwhile()
            told = self.attempts()
            return [
                each.command_id
                for each in commands
                if not any(event.result in FINAL for event in told.get(each.command_id, []))
            ]

        wait_until(lambda: not open_ones(), timeout_s, f"{len(commands)} commands to end")
        return self.attempts()


@contextmanager
def connected(bootstrap: str, registry: str) -> Iterator[World]:
    producer = Producer(Kafka(bootstrap_servers=bootstrap).producer("tests", linger_ms=1) | {"log_level": 0})
    codec = Codec(registry)
    with TopicReader(bootstrap, registry) as reader:
        try:
            yield World(bootstrap, registry, codec, producer, reader)
        finally:
            producer.close()
            codec.close()


@contextmanager
def on_the_embedded_broker(directory: Path, registry: str) -> Iterator[World]:
    options = [option for topic in TOPICS for option in ("--topic", topic)]
    with (
        servers.running("sandbox.broker", *options, log=directory / "broker") as broker,
        connected(broker.address, registry) as world,
    ):
        yield world


@contextmanager
def on_a_real_broker(directory: Path, registry: str) -> Iterator[World]:
    """A Kafka of our own: the sink's group and topics have fixed names, which others use on a shared one."""
    if (reason := jars.why_unavailable()) is not None:
        skip_or_fail(f"needs a real Kafka of its own: {reason}")
    with ExitStack() as stack:
        broker = stack.enter_context(KafkaBroker(directory / "kafka"))
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
            made.result(30)
        yield stack.enter_context(connected(broker.bootstrap, registry))


@contextmanager
def outbound(world: World, api: str, log: Path, *options: str) -> Iterator[servers.Server]:
    """An outbound process from its first assignment to the end of the block."""
    addresses = ("--bootstrap", world.bootstrap, "--registry", world.registry, "--api", api)
    with servers.running("tests.outbound.serve", *addresses, *options, log=log) as server:
        yield server
