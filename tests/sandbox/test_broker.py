"""What the embedded broker gives to each kind of client we have, and what it must not be trusted with."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.servers import running

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("broker") / "stderr.log"
    with running("sandbox.broker", "--topic", "made.before", "--topic", "group", log=log) as server:
        yield server.address


def produce(bootstrap: str, topic: str, values: list[bytes], *, partition: int = 0, **config: object) -> None:
    failures: list[KafkaError] = []

    def report(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, **config})
    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=report)
    assert producer.flush(20) == 0
    assert failures == []


def read(bootstrap: str, topic: str, count: int, *, isolation: str = "read_committed") -> list[bytes]:
    """The first `count` values of partition 0; fewer when there are no more for 20 s."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "isolation.level": isolation})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return [message.value() for message in consumer.consume(count, timeout=20)]
    finally:
        consumer.close()


def test_a_topic_asked_for_exists_with_four_partitions(bootstrap: str) -> None:
    topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    assert len(topics["made.before"].partitions) == 4


def test_several_brokers_answer_when_asked_for(tmp_path: Path) -> None:
    with running("sandbox.broker", "--brokers", "3", log=tmp_path / "log") as server:
        known = AdminClient({"bootstrap.servers": server.address}).list_topics(timeout=10).brokers
    assert len(known) == 3
    assert server.address.count(",") == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--topic", "no blanks"], "'no blanks' cannot be created"),
        (["--port", "9092"], "choose their own ports"),
        (["--brokers", "0"], "between 1 and 10"),
    ],
)
def test_an_impossible_option_is_refused_with_its_reason(options: list[str], reason: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "sandbox.broker", *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode != 0
    assert reason in result.stderr
    assert result.stdout == ""


def test_an_idempotent_producer_keeps_its_order(bootstrap: str) -> None:
    values = [str(number).encode() for number in range(1000)]
    produce(bootstrap, "idempotent", values, **{"enable.idempotence": True, "linger.ms": 1})
    assert read(bootstrap, "idempotent", 1000) == values


async def test_an_aiokafka_group_goes_on_where_it_committed(bootstrap: str) -> None:
    produce(bootstrap, "group", [b"1", b"2", b"3"])
    seen = []
    for expected in (2, 1):
        async with AIOKafkaConsumer(
            "group",
            bootstrap_servers=bootstrap,
            group_id="fold",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ) as consumer:
            for _ in range(expected):
                seen.append((await consumer.getone()).value)
            await consumer.commit()
    assert seen == [b"1", b"2", b"3"]


def test_a_committed_transaction_is_read_by_read_committed(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "one", "retry.backoff.ms": 1})
    producer.init_transactions(10)
    for part in ([b"a", b"b"], [b"c"]):
        producer.begin_transaction()
        for value in part:
            producer.produce("committed", value, partition=0)
        producer.commit_transaction(10)
    assert read(bootstrap, "committed", 3) == [b"a", b"b", b"c"]


# What the mock cannot do. If one of these fails after an upgrade, the sandbox has become better: change the
# text of sandbox/broker.py too.


def test_the_mock_shows_an_aborted_transaction_even_to_read_committed(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "two", "retry.backoff.ms": 1})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("aborted", b"never", partition=0)
    producer.flush(10)
    producer.abort_transaction(10)
    assert read(bootstrap, "aborted", 1) == [b"never"]


def test_the_mock_does_not_store_offsets_sent_in_a_transaction(bootstrap: str) -> None:
    produce(bootstrap, "consumed", [b"x"])
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "three", "retry.backoff.ms": 1})
    producer.init_transactions(10)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "tx", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["consumed"])
        assert consumer.consume(1, timeout=30)
        producer.begin_transaction()
        producer.send_offsets_to_transaction(
            [TopicPartition("consumed", 0, 1)], consumer.consumer_group_metadata(), 10
        )
        producer.commit_transaction(10)
        (stored,) = consumer.committed([TopicPartition("consumed", 0)], timeout=10)
        assert stored.offset < 0
    finally:
        consumer.close()


def test_the_mock_forgets_the_oldest_records_beyond_five_megabytes(bootstrap: str) -> None:
    for _ in range(12):
        produce(bootstrap, "full", [bytes(500_000)])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition("full", 0), timeout=10)
    finally:
        consumer.close()
    assert high == 12
    assert low > 0
