"""The row of one notification as the stream processors have it, read from their changelog.

Guarantees: reads only; what is committed by now; nobody's offsets move. The broker cannot look a key up, so
the one partition that holds it is read through: seconds where there are millions of rows.
"""

import time

from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from notifystream.positions import TIMEOUT_S
from notifystream.reading import BrokerSilent, NoSuchTopic
from schemas.clients import Kafka
from schemas.topics import Topic
from streams.delivery.row import NotificationRow
from streams.store.rows import RowCodec

_AT_ONCE = 5_000
_POLL_S = 0.1
_SILENCE_S = 15.0
_CODEC = RowCodec(NotificationRow, lambda row: row.due_at)


def notification_row(kafka: Kafka, notification_id: str) -> NotificationRow | None:
    """The latest row, or None when there is none: never requested here, or forgotten by now.

    Raises NoSuchTopic, BrokerSilent, KafkaException, and RowUnreadable for a row of another release.
    """
    key = notification_id.encode()
    consumer = Consumer(
        kafka.consumer("notifystream-show", "notifystream-unused")
        | {"enable.partition.eof": True, "fetch.wait.max.ms": 20}
    )
    try:
        number = _partition(consumer, key)
        consumer.assign([TopicPartition(Topic.NOTIFICATIONS_CHANGELOG, number, 0)])
        latest: bytes | None = None
        heard = time.monotonic()
        while True:
            messages = consumer.consume(_AT_ONCE, _POLL_S)  # waits as long for the last of so many
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise BrokerSilent(
                    f"the broker did not tell the end of {Topic.NOTIFICATIONS_CHANGELOG} in {_SILENCE_S:g} s"
                )
            for message in messages:
                error = message.error()
                if error is None:
                    if message.key() == key:
                        latest = message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    return _CODEC.decode(latest) if latest is not None else None
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def _partition(consumer: Consumer, key: bytes) -> int:
    """Where every client of ours puts the key: murmur2, as Java does."""
    topic = Topic.NOTIFICATIONS_CHANGELOG
    found = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    if found.error is not None:
        raise NoSuchTopic(f"the broker has no topic {topic}; create it: notifystream topics apply")
    partitions = sorted(found.partitions)
    return int(DefaultPartitioner()(key, partitions, partitions))
