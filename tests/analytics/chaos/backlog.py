"""How much the sinks have yet to commit."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from tests.analytics.chaos.terms import GROUP, LANDS, PARTITIONS

_ANSWER_S = 30.0


class Backlog:
    """Asks the broker; is no member of the group."""

    def __init__(self, kafka: Kafka) -> None:
        self._consumer = Consumer(kafka.consumer("backlog", GROUP))
        self._places = [TopicPartition(topic, number) for topic in LANDS for number in range(PARTITIONS)]

    def records(self) -> int:
        """Written and not committed; nobody writes in transactions here, so that each offset is a record."""
        left = 0
        for committed in self._consumer.committed(self._places, timeout=_ANSWER_S):
            place = TopicPartition(committed.topic, committed.partition)
            watermarks = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)
            assert watermarks is not None, f"the broker did not tell the end of {place}"
            left += watermarks[1] - max(watermarks[0], committed.offset)
        return left

    def close(self) -> None:
        self._consumer.close()
