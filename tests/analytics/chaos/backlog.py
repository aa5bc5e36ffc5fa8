"""How much the sinks have yet to commit."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.clients import Kafka
from tests.analytics.chaos.terms import GROUP, LANDS, PARTITIONS

_ANSWER_S = 30.0


class Backlog:
    """Asks the broker; is no member of the group."""

    def __init__(self, kafka: Kafka) -> None:
        self._consumer = Consumer(kafka.consumer("backlog", GROUP))
        # Nobody can close it: it outlives the broker, and would say so.
        self._admin = AdminClient(dict(kafka.client("backlog")) | {"log_level": 0})
        self._places = [TopicPartition(topic, number) for topic in LANDS for number in range(PARTITIONS)]

    def ends(self) -> dict[tuple[str, int], int]:
        """One past the last record of every partition; nobody writes in transactions here."""
        asked = self._admin.list_offsets(dict.fromkeys(self._places, OffsetSpec.latest()))
        return {
            (place.topic, place.partition): int(found.result(_ANSWER_S).offset)
            for place, found in asked.items()
        }

    def records(self) -> int:
        """Written and not committed; each offset is a record."""
        committed = self._consumer.committed(self._places, timeout=_ANSWER_S)
        return sum(self.ends().values()) - sum(max(0, place.offset) for place in committed)

    def close(self) -> None:
        self._consumer.close()
