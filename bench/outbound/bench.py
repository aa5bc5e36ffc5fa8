"""What the measurements share: a broker's topics, commands for them, and sinks that work on them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.outbound.child import SenderLimit, Watched
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, CommandKind, Priority
from tests.kafka.broker import KafkaBroker
from tests.servers import running

PARTITIONS = 4


def make_topics(broker: KafkaBroker) -> None:
    # Without its log: the broker ends before it does.
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in Topic]).values():
        made.result(30)


class Bench:
    """A broker with its topics, a registry, and sinks that work on them."""

    def __init__(self, directory: Path, kafka: Kafka, registry: str) -> None:
        self.directory, self.kafka, self.registry = directory, kafka, registry
        self.codec = Codec(registry)
        self.producer = Producer(kafka.producer("bench", linger_ms=2) | {"log_level": 0})
        self._runs = 0

    def close(self) -> None:
        self.producer.close()
        self.codec.close()

    def write(self, command: OutboundCommand, lane: Priority) -> None:
        """Returns at once."""
        topic = Topic.commands(lane)
        while True:
            try:
                self.producer.produce(topic, self.codec.encode(topic, command), command.sender.encode())
                return
            except BufferError:
                self.producer.poll(0.1)

    def flush(self) -> None:
        if left := self.producer.flush(120):
            raise SystemExit(f"the broker did not take {left} of the bench's commands in 120 s")

    @contextmanager
    def sink(
        self, api: str, limits: dict[str, SenderLimit], concurrency: int
    ) -> Iterator[Callable[[], Watched]]:
        """One sink; what the block is given tells, after it, where its time went."""
        self._runs += 1
        senders, out = self.directory / f"senders{self._runs}", self.directory / f"out{self._runs}"
        senders.write_bytes(msgspec.json.encode(limits))
        options: tuple[str, ...] = (
            "--bootstrap",
            self.kafka.bootstrap_servers,
            "--registry",
            self.registry,
            "--api",
            api,
        )
        options += ("--senders", str(senders), "--concurrency", str(concurrency), "--out", str(out))
        log = self.directory / f"sink{self._runs}.log"
        with running("bench.outbound.child", *options, log=log):
            yield lambda: msgspec.json.decode(out.read_bytes(), type=Watched)


def command(sender: str, number: int, segments: int = 1, lasts_s: float = 600) -> OutboundCommand:
    now = int(time.time() * 1000)
    notification = str(uuid.uuid4())
    return OutboundCommand(
        command_id=f"{notification}:1",
        kind=CommandKind.SEND,
        notification_id=notification,
        attempt=1,
        tenant="acme",
        provider="twilio",
        channel=Channel.SMS,
        sender=sender,
        # Nobody twice: what is kept in order for one person is not what is measured here.
        recipient=f"+1202{number % 10_000_000:07}",
        body=f"Your order {number} has left our house and will be with you between 9 and 12 tomorrow.",
        category=Category.TRANSACTIONAL,
        segments=segments,
        created_at=now,
        not_after=now + int(lasts_s * 1000),
    )


def sender(kind: int, number: int) -> str:
    """Each measurement has senders of its own: nothing of another's waits for them."""
    return f"+1{kind:03}555{number:04}"
