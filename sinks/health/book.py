"""The topic `route.health`, written and read: what was told of every route.

Guarantees: `tell` returns only after the broker acknowledged every record; `remembered` reads the topic to
what is its end by then, without a group, committed records only. Leaves to the worker: who may tell.
"""

import logging
import time
from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import RouteHealth
from schemas.topics import Topic
from sinks.health.errors import Unremembered, Untold

log = logging.getLogger(__name__)

DELIVERY_S = 10.0
# Without news for so long, the broker is away: then the end will not come.
SILENCE_S = 15.0
_POLL_S = 0.2


class Book:
    """One producer. Not safe to share between threads."""

    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self._kafka = kafka
        self._codec = codec
        self._producer = Producer(
            kafka.producer("notifystream-health", delivery_timeout_ms=int(DELIVERY_S * 1000))
        )

    def close(self) -> None:
        self._producer.flush(DELIVERY_S)
        self._producer.close()

    def tell(self, records: Iterable[RouteHealth]) -> None:
        """Write them and wait. Raises Untold when any was not acknowledged, RegistryUnavailable when none
        could be encoded; a part of them may be in the topic then."""
        values = [(each.route, self._codec.encode(Topic.ROUTE_HEALTH, each)) for each in records]
        failures: list[str] = []
        acknowledged = 0

        def reported(error: KafkaError | None, message: Message) -> None:
            nonlocal acknowledged
            if error is None:
                acknowledged += 1
            else:
                failures.append(str(error))

        try:
            for route, value in values:
                self._producer.produce(Topic.ROUTE_HEALTH, value, route, on_delivery=reported)
                self._producer.poll(0)
        except (BufferError, KafkaException) as refused:
            raise Untold(f"{Topic.ROUTE_HEALTH}: not written: {refused}") from refused
        self._producer.flush(DELIVERY_S + 1)
        if acknowledged < len(values):
            raise Untold(
                f"{Topic.ROUTE_HEALTH}: {len(values) - acknowledged} of {len(values)} not acknowledged "
                f"within {DELIVERY_S:g} s: {'; '.join(sorted(set(failures))) or 'no answer'}"
            )

    def remembered(self) -> dict[str, RouteHealth]:
        """The last record of every route, by its id. Raises Unremembered, RegistryUnavailable.

        A record that cannot be read is passed over, with a warning: its route begins anew.
        """
        settings = self._kafka.consumer("notifystream-health", "notifystream-health-reading")
        last: dict[str, RouteHealth] = {}
        with closing(Consumer(settings | {"enable.partition.eof": True})) as consumer:
            left = self._assigned(consumer)
            heard = time.monotonic()
            while left:
                message = consumer.poll(_POLL_S)
                error = message.error() if message is not None else None
                if message is not None and error is None:
                    heard = time.monotonic()
                    self._remember(message, last)
                elif message is not None and error is not None and error.code() == KafkaError._PARTITION_EOF:
                    heard = time.monotonic()
                    left.discard(message.partition() or 0)
                elif time.monotonic() - heard > SILENCE_S:
                    raise Unremembered(
                        f"{Topic.ROUTE_HEALTH}: the broker did not tell its end in {SILENCE_S:g} s: {error}"
                    )
        return last

    def _assigned(self, consumer: Consumer) -> set[int]:
        try:
            found = consumer.list_topics(Topic.ROUTE_HEALTH, timeout=DELIVERY_S).topics[Topic.ROUTE_HEALTH]
        except KafkaException as away:
            raise Unremembered(f"{Topic.ROUTE_HEALTH}: the broker does not answer: {away}") from away
        if found.error is not None:
            raise Unremembered(f"the broker has no topic {Topic.ROUTE_HEALTH}: notifystream topics apply")
        partitions = set(found.partitions)
        consumer.assign(
            [TopicPartition(Topic.ROUTE_HEALTH, number, OFFSET_BEGINNING) for number in partitions]
        )
        return partitions

    def _remember(self, message: Message, last: dict[str, RouteHealth]) -> None:
        value = message.value()
        if not isinstance(value, bytes):
            return
        try:
            told = self._codec.decode(value, RouteHealth)
        except WireError as unreadable:
            log.warning(
                "%s[%s]@%s passed over: %s",
                message.topic(),
                message.partition(),
                message.offset(),
                unreadable,
            )
        else:
            last[told.route] = told
