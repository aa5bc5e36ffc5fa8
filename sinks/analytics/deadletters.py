"""Records this sink gives up, written to dead.letters.

Guarantees: `deliver` returns only after the broker acknowledged every one. A batch replayed after a crash
writes them again; the table knows the copies by where the record stood. Leaves to the sink: the commit after.
"""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import Topic
from sinks.analytics.errors import DeadLetterUndelivered
from sinks.analytics.ranges import Given

STAGE = "sinks.analytics"
# Below the producer's own delivery time-out nothing would be settled yet.
DELIVERY_S = 10.0


class DeadLetters:
    """One producer; made at the first dead letter, because most sinks never have one."""

    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self._kafka = kafka
        self._codec = codec
        self._producer: Producer | None = None

    def deliver(self, given_up: Sequence[Given]) -> None:
        """Write a dead letter for each and wait for all acknowledgements, 10 s at most.

        Raises DeadLetterUndelivered when any is missing, RegistryUnavailable when none could be encoded.
        """
        if not given_up:
            return
        letters = [
            (given.record, self._codec.encode(Topic.DEAD_LETTERS, _letter(given))) for given in given_up
        ]
        producer = self._connected()
        failures: list[str] = []
        acknowledged = 0

        def reported(error: KafkaError | None, message: Message) -> None:
            nonlocal acknowledged
            if error is None:
                acknowledged += 1
            else:
                failures.append(str(error))

        try:
            for record, value in letters:
                key = f"{record.place.topic}:{record.place.partition}"
                producer.produce(Topic.DEAD_LETTERS, value, key, on_delivery=reported)
                producer.poll(0)
        except BufferError as full:
            raise DeadLetterUndelivered(f"dead.letters: the producer's queue is full: {full}") from full
        producer.flush(DELIVERY_S)
        if acknowledged < len(letters):
            raise DeadLetterUndelivered(
                f"dead.letters: {len(letters) - acknowledged} of {len(letters)} not acknowledged within "
                f"{DELIVERY_S:g} s: {'; '.join(sorted(set(failures))) or 'no answer'}"
            )

    def close(self) -> None:
        if self._producer is not None:
            self._producer.flush(DELIVERY_S)
            self._producer = None

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                self._kafka.producer("notifystream-analytics", delivery_timeout_ms=int(DELIVERY_S * 1000))
            )
        return self._producer


def _letter(given: Given) -> DeadLetter:
    record = given.record
    return DeadLetter(
        stage=STAGE,
        reason=given.reason,
        detail=given.detail,
        topic=record.place.topic,
        partition=record.place.partition,
        offset=record.place.offset,
        key=record.key,
        value=record.value,
        at=time.time_ns() // 1_000_000,
    )
