"""What a consumer group has left to read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.clients import Kafka
from schemas.topics import Topic

_WAIT_S = 120.0


def unread(kafka: Kafka, group: str, topics: Iterable[Topic], partitions: int) -> list[str]:
    """Where the group has not committed the offsets of everything.

    Asked by reading on from there: what an end offset counts may be the markers of transactions, which nobody
    reads.
    """
    places = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
    consumer = Consumer(kafka.consumer("verdict", group) | {"enable.partition.eof": True})
    found: Counter[str] = Counter()
    try:
        committed = consumer.committed(places, timeout=30)
        consumer.assign(
            [TopicPartition(each.topic, each.partition, max(0, each.offset)) for each in committed]
        )
        open_ends = len(places)
        deadline = time.monotonic() + _WAIT_S
        while open_ends:
            for message in consumer.consume(1_000, 0.5):
                error = message.error()
                if error is None:
                    found[f"{message.topic()} [{message.partition()}]"] += 1
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    open_ends -= 1
            assert time.monotonic() < deadline, "the broker did not tell what is left to read"
    finally:
        consumer.close()
    return [f"{number} of {place}" for place, number in found.items()]
