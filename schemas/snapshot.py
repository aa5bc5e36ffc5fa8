"""Reading one partition from its start to its end, as committed: how state is rebuilt from a topic."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.clients import Kafka


class Entry(NamedTuple):
    key: bytes
    value: bytes | None
    offset: int


class SnapshotTimeout(Exception):
    """The end of the partition was not reached in time."""


def end_offset(kafka: Kafka, client_id: str, topic: str, partition: int, timeout_s: float = 10.0) -> int:
    """The offset behind the last record written so far, committed or not."""
    config = kafka.consumer(client_id, "notifystream-unused") | {"isolation.level": "read_uncommitted"}
    consumer = Consumer(config)
    try:
        watermarks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
    finally:
        consumer.close()
    if watermarks is None:
        raise SnapshotTimeout(f"the broker did not tell the end of {topic} [{partition}] in {timeout_s} s")
    return int(watermarks[1])


def read_partition(
    kafka: Kafka, client_id: str, topic: str, partition: int, *, timeout_s: float = 120.0
) -> Iterator[Entry]:
    """Every committed record of a partition up to where it ended when this was called.

    A transaction left open by a process that died is waited for: what it wrote either becomes visible here or
    never will be, so the caller's picture cannot be overtaken by it. Raises SnapshotTimeout, KafkaException.
    """
    end = end_offset(kafka, client_id, topic, partition)
    consumer = Consumer(
        kafka.consumer(client_id, "notifystream-unused")
        | {"enable.partition.eof": True, "fetch.wait.max.ms": 20}
    )
    deadline = time.monotonic() + timeout_s
    reached = 0
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while reached < end:
            message = consumer.poll(0.2)
            if message is None:
                if time.monotonic() > deadline:
                    raise SnapshotTimeout(
                        f"read {topic} [{partition}] up to {reached} of {end} in {timeout_s} s; "
                        "is a transaction hanging there?"
                    )
                continue
            error = message.error()
            offset = message.offset() or 0
            if error is None:
                deadline = time.monotonic() + timeout_s
                reached = offset + 1
                yield Entry(message.key() or b"", message.value(), offset)
            elif error.code() == KafkaError._PARTITION_EOF:
                reached = offset  # behind transaction markers, which are never delivered
            elif error.code() == KafkaError.OFFSET_OUT_OF_RANGE or not error.fatal():
                continue  # librdkafka goes on by itself
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
