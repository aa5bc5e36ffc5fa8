"""Reading a partition as committed: to its end, without what was taken back, waiting for what is undecided.

Transactions are shown on a real broker: the embedded one hands out aborted records like committed ones.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.clients import Kafka
from schemas.snapshot import SnapshotTimeout, end_offset, read_partition
from tests.kafka.broker import KafkaHandle

TIMEOUT_S = 20.0


def read(kafka: Kafka, topic: str, timeout_s: float = TIMEOUT_S) -> list[tuple[bytes, bytes | None]]:
    return [(e.key, e.value) for e in read_partition(kafka, "tests", topic, 0, timeout_s=timeout_s)]


def write(producer: Producer, topic: str, *values: bytes) -> None:
    """Records of partition 0, acknowledged when this returns."""
    for value in values:
        producer.produce(topic, value, key=b"k" + value, partition=0)
    assert producer.flush(TIMEOUT_S) == 0


@pytest.fixture
def embedded(embedded_kafka: str) -> Kafka:
    return Kafka(bootstrap_servers=embedded_kafka)


@pytest.fixture
def real(real_kafka: KafkaHandle) -> Kafka:
    return Kafka(bootstrap_servers=real_kafka.bootstrap)


@pytest.fixture
def topic(real: Kafka) -> str:
    """A new topic of one partition on the real broker."""
    name = f"snapshot-{uuid.uuid4().hex[:12]}"
    admin = AdminClient(real.client("tests"))
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(TIMEOUT_S)
    return name


@pytest.fixture
def owner(real: Kafka) -> Iterator[Producer]:
    """A transactional producer; closing it aborts what it left open."""
    producer = Producer(
        real.producer("tests") | {"transactional.id": uuid.uuid4().hex, "retry.backoff.ms": 1}
    )
    producer.init_transactions(TIMEOUT_S)
    with closing(producer):
        yield producer


def test_every_record_is_read_in_order_with_its_key_and_offset(embedded: Kafka) -> None:
    topic = uuid.uuid4().hex
    values = [str(number).encode() for number in range(500)]
    with closing(Producer(embedded.producer("tests"))) as producer:
        write(producer, topic, *values)
    entries = list(read_partition(embedded, "tests", topic, 0, timeout_s=TIMEOUT_S))
    assert [(e.key, e.value, e.offset) for e in entries] == [(b"k" + v, v, n) for n, v in enumerate(values)]


def test_an_empty_partition_has_nothing_and_is_not_waited_for(embedded: Kafka) -> None:
    topic = uuid.uuid4().hex
    AdminClient(embedded.client("tests")).list_topics(topic, timeout=TIMEOUT_S)  # makes the topic
    assert read(embedded, topic) == []


def test_a_tombstone_is_told_as_no_value(embedded: Kafka) -> None:
    topic = uuid.uuid4().hex
    with closing(Producer(embedded.producer("tests"))) as producer:
        producer.produce(topic, None, key=b"gone", partition=0)
        assert producer.flush(TIMEOUT_S) == 0
    assert read(embedded, topic) == [(b"gone", None)]


def test_what_comes_after_the_call_is_left_to_others(embedded: Kafka) -> None:
    topic = uuid.uuid4().hex
    with closing(Producer(embedded.producer("tests"))) as producer:
        write(producer, topic, b"1", b"2")
        reading = read_partition(embedded, "tests", topic, 0, timeout_s=TIMEOUT_S)
        first = next(reading)
        write(producer, topic, b"3")
        assert [first.value, *(entry.value for entry in reading)] == [b"1", b"2"]


@pytest.mark.broker
def test_committed_records_are_read_up_to_the_end_of_the_partition(
    real: Kafka, topic: str, owner: Producer
) -> None:
    for value in (b"1", b"2"):
        owner.begin_transaction()
        write(owner, topic, value)
        owner.commit_transaction(TIMEOUT_S)
    assert [value for _, value in read(real, topic)] == [b"1", b"2"]
    assert end_offset(real, "tests", topic, 0) == 4  # each commit leaves a marker behind


@pytest.mark.broker
def test_an_aborted_transaction_is_not_seen(real: Kafka, topic: str, owner: Producer) -> None:
    owner.begin_transaction()
    write(owner, topic, b"kept")
    owner.commit_transaction(TIMEOUT_S)
    owner.begin_transaction()
    write(owner, topic, b"taken back")
    owner.abort_transaction(TIMEOUT_S)
    assert [value for _, value in read(real, topic)] == [b"kept"]


@pytest.mark.broker
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "aborted"])
def test_a_hanging_transaction_is_waited_for_until_it_is_decided(
    real: Kafka, topic: str, owner: Producer, committed: bool
) -> None:
    owner.begin_transaction()
    write(owner, topic, b"undecided")
    found: list[bytes | None] = []
    reader = threading.Thread(target=lambda: found.extend(value for _, value in read(real, topic)))
    reader.start()
    reader.join(1.5)
    assert reader.is_alive(), "it did not wait for the open transaction"
    if committed:
        owner.commit_transaction(TIMEOUT_S)
    else:
        owner.abort_transaction(TIMEOUT_S)
    reader.join(TIMEOUT_S)
    assert not reader.is_alive()
    assert found == ([b"undecided"] if committed else [])


@pytest.mark.broker
def test_a_transaction_that_hangs_for_too_long_is_said_to(real: Kafka, topic: str, owner: Producer) -> None:
    owner.begin_transaction()
    write(owner, topic, b"undecided")
    with pytest.raises(SnapshotTimeout, match=f"{topic} .*up to 0 of 1.*transaction"):
        read(real, topic, timeout_s=1.5)


@pytest.mark.broker
def test_a_topic_that_does_not_exist_is_an_error_and_not_an_empty_one(real: Kafka) -> None:
    with pytest.raises((KafkaException, SnapshotTimeout)):
        read(real, uuid.uuid4().hex, timeout_s=3)


@pytest.mark.broker
def test_records_deleted_from_the_start_are_not_waited_for(real: Kafka, topic: str) -> None:
    with closing(Producer(real.producer("tests"))) as producer:
        write(producer, topic, b"old", b"new")
    admin = AdminClient(real.client("tests"))
    for answer in admin.delete_records([TopicPartition(topic, 0, 1)]).values():
        answer.result(TIMEOUT_S)
    assert [value for _, value in read(real, topic)] == [b"new"]
