"""The records of topics between two times, read without a group: nobody's committed offsets move.

Guarantees: a span is what the broker means by these times: from the first record at or after the one to the
first at or after the other (ListOffsets, KIP-79), whole, also where producers' clocks disagree by a little;
committed records only. Leaves to the caller: what is done with them.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.clients import Kafka
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.ranges import Partition
from sinks.analytics.rows import Place

log = logging.getLogger(__name__)

ANSWER_S = 10.0
# Without news for so long, the broker is away: then the end will not come.
SILENCE_S = 30.0
POLL_S = 0.2
_FAR = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """[since, until), milliseconds since the epoch, of the records' timestamps. Raises ValueError."""

    since: int
    until: int

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise ValueError("the window is empty: --since must be before --until")


@dataclass(frozen=True, slots=True)
class Span:
    """What is to be read of a partition: offsets [first, end). `known` tells whether the times are already
    looked up; else records outside the window are passed over while reading."""

    topic: str
    partition: int
    first: int
    end: int
    known: bool = True

    @property
    def offsets(self) -> int:
        """How many at most: compacted and control records are among them."""
        return max(0, self.end - self.first)


def spans(kafka: Kafka, topics: Iterable[str], window: Window, *, look_up: bool = True) -> tuple[Span, ...]:
    """What would be read. `look_up` false, for a broker that knows no times: everything, from the beginning.

    Raises KafkaException when the broker does not answer, AnalyticsError for a topic it does not have.
    """
    with closing(Consumer(kafka.consumer("notifystream-backfill", "notifystream-backfill"))) as consumer:
        return tuple(each for topic in topics for each in _spans(consumer, topic, window, look_up))


def _spans(consumer: Consumer, topic: str, window: Window, look_up: bool) -> Iterator[Span]:
    found = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
    if found.error is not None:
        raise AnalyticsError(f"the broker has no topic {topic}; create it: notifystream topics apply")
    numbers = sorted(found.partitions)
    first = _at(consumer, topic, numbers, window.since) if look_up else {}
    end = _at(consumer, topic, numbers, window.until) if look_up else {}
    for number in numbers:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER_S)
        begin = max(low, first.get(number, low))
        yield Span(topic, number, min(begin, high), min(end.get(number, high), high), look_up)


def _at(consumer: Consumer, topic: str, numbers: list[int], at_ms: int) -> Mapping[int, int]:
    """By partition, the offset of the first record at or after this time; beyond the last, the end."""
    asked = [TopicPartition(topic, number, at_ms) for number in numbers]
    found = {}
    for each in consumer.offsets_for_times(asked, timeout=ANSWER_S):
        if each.error is not None:
            raise KafkaException(each.error)
        # librdkafka answers OFFSET_END (-1) when no record is that late.
        found[each.partition] = each.offset if each.offset >= 0 else _FAR
    return found


def records(
    kafka: Kafka, read: Iterable[Span], window: Window
) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
    """Every record of the spans: topic, partition, offset, key, value. Raises KafkaException."""
    left = {(each.topic, each.partition): each for each in read if each.offsets}
    if not left:
        return
    settings = kafka.consumer("notifystream-backfill", "notifystream-backfill")
    with closing(Consumer(settings | {"enable.partition.eof": True})) as consumer:
        consumer.assign([TopicPartition(*place, each.first) for place, each in left.items()])
        heard = time.monotonic()
        while left:
            message = consumer.poll(POLL_S)
            if message is None:
                if time.monotonic() - heard > SILENCE_S:
                    raise AnalyticsError(
                        f"the broker did not tell the end of {', '.join(sorted({t for t, _ in left}))} in "
                        f"{SILENCE_S:g} s: see whether it is up, then run this again"
                    )
                continue
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if error.fatal():
                    raise KafkaException(error)
                log.warning("kafka: %s", error)
                continue
            heard = time.monotonic()
            place = _place(message)
            expected = left.get(place[:2])
            if expected is None:
                continue
            if error is not None:
                _end(consumer, left, place[:2])
                continue
            if place.offset < expected.end and _within(message, expected, window):
                yield *place, _bytes(message.key()), _bytes(message.value())
            if place.offset + 1 >= expected.end:
                _end(consumer, left, place[:2])


def _within(message: Message, expected: Span, window: Window) -> bool:
    return expected.known or window.since <= message.timestamp()[1] < window.until


def _end(consumer: Consumer, left: dict[Partition, Span], place: Partition) -> None:
    del left[place]
    consumer.pause([TopicPartition(*place)])


def _place(message: Message) -> Place:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise AnalyticsError(f"the broker gave a record without a place: {topic} {partition} {offset}")
    return Place(topic, partition, offset)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
