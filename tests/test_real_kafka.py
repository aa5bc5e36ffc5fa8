"""What the pipeline relies on from Kafka, shown on a real broker: transactions, fencing, outages, crashes.

None of it can be shown on the embedded broker, which stores no offsets of a transaction and nothing at all
across a restart (facts: embedded broker).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.kafka.broker import KafkaHandle
from tests.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

CALL_TIMEOUT_S = 20.0
FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
NewOwner = Callable[[str], Producer]


@pytest.fixture
def topic(real_kafka: KafkaHandle) -> str:
    """A new topic of one partition."""
    name = f"relied-on-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(CALL_TIMEOUT_S)
    return name


@pytest.fixture
def new_owner(real_kafka: KafkaHandle) -> Iterator[NewOwner]:
    """Makes a transactional producer; each new one of an id fences the one before. Closed after the test."""
    made: list[Producer] = []

    def make(transactional_id: str) -> Producer:
        producer = Producer(
            {
                "bootstrap.servers": real_kafka.bootstrap,
                "transactional.id": transactional_id,
                "retry.backoff.ms": 1,  # the default of 100 is what a transaction then takes (facts: Kafka)
                "linger.ms": 0,
            }
        )
        made.append(producer)
        producer.init_transactions(CALL_TIMEOUT_S)
        return producer

    yield make
    for producer in made:
        try:
            producer.close()  # aborts what the test left open, which only the owner may
        except KafkaException as refused:
            if refused.args[0].code() not in FENCED:
                raise


@contextmanager
def consumer(kafka: KafkaHandle, topic: str, group: str = "reads-once") -> Iterator[Consumer]:
    """A read_committed reader of the topic's only partition, from its beginning."""
    reader = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    reader.assign([TopicPartition(topic, 0, 0)])
    try:
        yield reader
    finally:
        reader.close()


def read_to_the_end(reader: Consumer) -> list[bytes]:
    """Every value up to the end of the partition that read_committed may see."""
    values: list[bytes] = []
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while time.monotonic() < deadline:
        message = reader.poll(0.5)
        if message is None:
            continue
        error = message.error()
        if error is None:
            values.append(value_of(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            return values
        elif not error.retriable():
            raise KafkaException(error)
    raise AssertionError(f"no end of the partition within {CALL_TIMEOUT_S:g} s; read {len(values)} records")


def value_of(message: Message) -> bytes:
    value = message.value()
    assert isinstance(value, bytes)
    return value


def produce_and_ask(producer: Producer, topic: str, value: bytes) -> Callable[[], list[KafkaError | None]]:
    """Produce one record; the answer holds the delivery report once there is one: [None] is success."""
    reports: list[KafkaError | None] = []
    producer.produce(topic, value, on_delivery=lambda error, _message: reports.append(error))

    def asked() -> list[KafkaError | None]:
        producer.poll(0)
        return reports

    return asked


def test_read_committed_sees_a_committed_transaction_and_never_an_aborted_one(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str
) -> None:
    producer = new_owner(f"tx-{topic}")
    for value, end in [
        (b"kept", producer.commit_transaction),
        (b"dropped", producer.abort_transaction),
        (b"kept too", producer.commit_transaction),
    ]:
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(CALL_TIMEOUT_S)  # the aborted record must be on the broker, or nothing is shown
        end(CALL_TIMEOUT_S)
    with consumer(real_kafka, topic) as reader:
        assert read_to_the_end(reader) == [b"kept", b"kept too"]


def test_read_committed_does_not_see_an_open_transaction(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str
) -> None:
    producer = new_owner(f"tx-{topic}")
    producer.begin_transaction()
    producer.produce(topic, b"not yet")
    assert producer.flush(CALL_TIMEOUT_S) == 0
    with consumer(real_kafka, topic) as reader:
        assert read_to_the_end(reader) == []
    producer.abort_transaction(CALL_TIMEOUT_S)


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "aborted"])
def test_offsets_sent_in_a_transaction_are_stored_with_its_records_or_not_at_all(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str, committed: bool
) -> None:
    group = f"group-{topic}"
    producer = new_owner(f"tx-{topic}")
    with consumer(real_kafka, topic, group) as reader:
        producer.begin_transaction()
        producer.produce(topic, b"caused by the records before 41")
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, 41)], reader.consumer_group_metadata(), CALL_TIMEOUT_S
        )
        (producer.commit_transaction if committed else producer.abort_transaction)(CALL_TIMEOUT_S)
        [stored] = reader.committed([TopicPartition(topic, 0)], CALL_TIMEOUT_S)
        seen = read_to_the_end(reader)
    assert (stored.offset == 41, len(seen)) == ((True, 1) if committed else (False, 0))


def test_a_producer_whose_transactional_id_was_taken_over_cannot_commit(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str
) -> None:
    old = new_owner(f"tx-{topic}")
    old.begin_transaction()
    old.produce(topic, b"of the old owner")
    assert old.flush(CALL_TIMEOUT_S) == 0
    new = new_owner(f"tx-{topic}")
    with pytest.raises(KafkaException) as refused:
        old.commit_transaction(CALL_TIMEOUT_S)
    assert refused.value.args[0].code() in FENCED
    new.begin_transaction()
    new.produce(topic, b"of the new owner")
    new.commit_transaction(CALL_TIMEOUT_S)
    with consumer(real_kafka, topic) as reader:
        assert read_to_the_end(reader) == [b"of the new owner"]


def test_back_to_back_transactions_of_twenty_records_all_commit(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str, record_property: Callable[[str, object], None]
) -> None:
    transactions, records = 50, 20
    producer = new_owner(f"tx-{topic}")
    with consumer(real_kafka, topic, f"group-{topic}") as reader:
        metadata = reader.consumer_group_metadata()
        began = time.perf_counter()
        for number in range(transactions):
            producer.begin_transaction()
            for record in range(records):
                producer.produce(topic, b"%d.%d" % (number, record))
            producer.send_offsets_to_transaction(
                [TopicPartition(topic, 0, (number + 1) * records)], metadata, CALL_TIMEOUT_S
            )
            producer.commit_transaction(CALL_TIMEOUT_S)
        each_ms = (time.perf_counter() - began) * 1000 / transactions
        assert len(read_to_the_end(reader)) == transactions * records
    # Reported, not asserted: how long it takes is the machine's matter; bench/ compares.
    record_property("transaction_ms", round(each_ms, 2))
    print(f"a transaction of {records} records and offsets: {each_ms:.1f} ms")


def test_a_broker_that_stands_still_fails_the_delivery_in_time_and_serves_again_after(
    real_kafka: KafkaHandle, topic: str
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": real_kafka.bootstrap,
            "enable.idempotence": True,
            "delivery.timeout.ms": 1500,
            "socket.timeout.ms": 1000,
            "linger.ms": 1,
        }
    )
    before = produce_and_ask(producer, topic, b"before")
    assert wait_until(before, CALL_TIMEOUT_S, "the report of a record to a healthy broker") == [None]
    real_kafka.pause()
    try:
        during = produce_and_ask(producer, topic, b"during")
        [error] = wait_until(during, 10, "the report of a record to a broker that stands still")
    finally:
        real_kafka.resume()
    assert error is not None
    assert error.code() == KafkaError._MSG_TIMED_OUT

    def another_is_taken() -> bool:
        after = produce_and_ask(producer, topic, b"after")
        return wait_until(after, 10, "the report of a record after the pause") == [None]

    wait_until(another_is_taken, CALL_TIMEOUT_S, "a record to be acknowledged after the pause")
    with consumer(real_kafka, topic) as reader:
        values = read_to_the_end(reader)
    # The record in between may have reached the broker all the same: a time-out proves nothing.
    assert [value for value in values if value != b"during"][:2] == [b"before", b"after"]


def test_acknowledged_records_and_committed_offsets_survive_a_kill_of_the_broker(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str
) -> None:
    group = f"group-{topic}"
    producer = new_owner(f"tx-{topic}")
    sent = [b"record %d" % number for number in range(200)]
    with consumer(real_kafka, topic, group) as reader:
        producer.begin_transaction()
        for value in sent:
            producer.produce(topic, value)
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, 200)], reader.consumer_group_metadata(), CALL_TIMEOUT_S
        )
        producer.commit_transaction(CALL_TIMEOUT_S)
    address = real_kafka.bootstrap
    real_kafka.kill()
    real_kafka.restart()
    assert real_kafka.bootstrap == address
    with consumer(real_kafka, topic, group) as reader:
        assert read_to_the_end(reader) == sent
        [stored] = reader.committed([TopicPartition(topic, 0)], CALL_TIMEOUT_S)
    assert stored.offset == 200


def test_a_transaction_left_open_by_a_dead_producer_is_aborted_by_its_successor(
    real_kafka: KafkaHandle, new_owner: NewOwner, topic: str
) -> None:
    dead = new_owner(f"tx-{topic}")
    dead.begin_transaction()
    dead.produce(topic, b"half done")
    assert dead.flush(CALL_TIMEOUT_S) == 0
    successor = new_owner(f"tx-{topic}")
    successor.begin_transaction()
    successor.produce(topic, b"done")
    successor.commit_transaction(CALL_TIMEOUT_S)
    with consumer(real_kafka, topic) as reader:
        assert read_to_the_end(reader) == [b"done"]


def test_a_topic_nobody_declared_is_refused(real_kafka: KafkaHandle) -> None:
    # librdkafka gives a new topic 30 s to become known; a topic that exists needs none.
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "topic.metadata.propagation.max.ms": 0})
    asked = produce_and_ask(producer, f"undeclared-{uuid.uuid4().hex}", b"lost")
    [error] = wait_until(asked, CALL_TIMEOUT_S, "the report of a record to an undeclared topic")
    assert error is not None
    assert error.code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)
