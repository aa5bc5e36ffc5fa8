"""The servers around the sink, and the sink itself in this process or in one that can be killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.clients import Kafka
from schemas.codec import Codec
from sinks.analytics.clickhouse import connect
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.rows import LANDINGS, Place
from sinks.analytics.sink import run
from tests import servers
from tests.kafka.broker import KafkaBroker
from tests.waiting import wait_until

KEY = bytes(range(32))
WAIT_S = 60.0
# What the embedded broker gives every topic.
PARTITIONS = 4


class ClickHouse:
    """The sandbox's ClickHouse on one directory and, after its first start, one port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self.url = ""

    def start(self) -> None:
        port = str(urlsplit(self.url).port) if self.url else "0"
        options = ("--data", str(self._directory / "data"), "--port", port)
        server = servers.running("sandbox.clickhouse", *options, log=self._directory / "clickhouse.log")
        self.url = self._stack.enter_context(server).address

    def stop(self) -> None:
        self._stack.close()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        client = connect(self.url)
        try:
            return [tuple(row) for row in client.query(sql).result_rows]
        finally:
            client.close()


@dataclass(frozen=True, slots=True)
class World:
    kafka: Kafka
    registry_url: str
    clickhouse: ClickHouse
    codec: Codec
    producer: Producer

    def config(self, **changes: Any) -> AnalyticsConfig:
        return AnalyticsConfig(
            **{
                "kafka": self.kafka,
                "schema_registry_url": self.registry_url,
                "clickhouse_url": self.clickhouse.url,
                "pii_hash_key": KEY,
                "batch_s": 0.1,
                **changes,
            }
        )

    def write(self, topic: str, *records: msgspec.Struct | bytes, key: str = "key") -> None:
        for record in records:
            value = record if isinstance(record, bytes) else self.codec.encode(topic, record)
            self.producer.produce(topic, value, key)
            self.producer.poll(0)
        assert self.producer.flush(30) == 0

    def count(self, table: str) -> int:
        return int(self.clickhouse.query(f"SELECT count() FROM {table} FINAL")[0][0])  # noqa: S608

    def wait_for_rows(self, table: str, rows: int, timeout_s: float = WAIT_S) -> None:
        wait_until(lambda: self.count(table) == rows, timeout_s, f"{rows} rows in {table}")

    def committed(self, topic: str, group: str = "notifystream-analytics") -> int:
        """Sum of the group's committed offsets of the topic."""
        consumer = Consumer(self.kafka.consumer("test", group))
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            return sum(max(0, p.offset) for p in consumer.committed(partitions, timeout=10))
        finally:
            consumer.close()

    def read(self, topic: str) -> list[tuple[Place, bytes | None]]:
        """Every record of the topic."""
        consumer = Consumer(self.kafka.consumer("test", "nobody"))
        try:
            left = {}
            for number in range(PARTITIONS):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                if high > low:
                    left[number] = high
            consumer.assign([TopicPartition(topic, number, 0) for number in left])
            records = []
            while left:
                message = consumer.poll(10)
                assert message is not None, f"no record of {topic}: {left}"
                assert message.error() is None
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                records.append((Place(topic, partition, offset), message.value()))
                if offset + 1 >= left[partition]:
                    del left[partition]
            return records
        finally:
            consumer.close()


@contextmanager
def world(directory: Path, real_broker: bool = False) -> Iterator[World]:
    """Broker, registry and ClickHouse, fresh; the broker is the embedded one, or a real Kafka of its own."""
    with ExitStack() as stack:
        if real_broker:
            kafka = Kafka(bootstrap_servers=stack.enter_context(KafkaBroker(directory / "kafka")).bootstrap)
            _create_topics(kafka)
        else:
            options = [option for topic in LANDINGS for option in ("--topic", topic)]
            broker = servers.running("sandbox.broker", *options, log=directory / "broker.log")
            kafka = Kafka(bootstrap_servers=stack.enter_context(broker).address)
        registry = stack.enter_context(servers.running("sandbox.registry", log=directory / "registry.log"))
        clickhouse = ClickHouse(directory)
        clickhouse.start()
        stack.callback(clickhouse.stop)
        producer = Producer(kafka.producer("test"))
        stack.callback(producer.flush, 10)
        codec = Codec(registry.address)
        stack.callback(codec.close)
        yield World(kafka, registry.address, clickhouse, codec, producer)


def _create_topics(kafka: Kafka) -> None:
    admin = AdminClient(kafka.client("test"))
    for creation in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in LANDINGS]).values():
        creation.result(30)


@contextmanager
def sinking(config: AnalyticsConfig) -> Iterator[threading.Event]:
    """A sink in a thread of this process, from ready to ended; its error, if any, is raised here."""
    stop, ready = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            run(config, lambda _: ready.set(), stop)
        except BaseException as error:
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(WAIT_S), "the sink did not become ready"
        yield stop
    finally:
        stop.set()
        thread.join(WAIT_S)
        if errors:
            raise errors[0]
        assert not thread.is_alive(), "the sink did not end"
