"""Lands again what the topics hold between two times: after a table was lost, or for one that is new.

Guarantees: the rows are those the sink makes of the same records, so that what is there already collapses
with its copy; nobody's committed offsets move; what cannot be read becomes the dead letter it would be in the
sink. A crash leaves some of the rows in: run it again, to the same end. Leaves to others: the aggregates,
which find by themselves the hours that were touched; and what the broker has already deleted or compacted.

A span is what the broker means by these times: from the first record at or after the one to the first at or
after the other (ListOffsets, KIP-79), whole, also where producers' clocks disagree by a little.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.topics import Topic
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.deadletters import DeadLetters
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.landing import Lander, Preparer
from sinks.analytics.privacy import Privacy
from sinks.analytics.ranges import Partition, Range
from sinks.analytics.rows import Place
from sinks.analytics.tables import (
    TABLES,
    AttemptRow,
    ConsentChangeRow,
    DeadLetterRow,
    InboundRow,
    MessageRow,
    NotificationRow,
    OutcomeHistoryRow,
    RequestRow,
    Row,
    StatusEventRow,
)

log = logging.getLogger(__name__)

ANSWER_S = 10.0
# Without news for so long, the broker is away: then the end will not come.
SILENCE_S = 30.0
POLL_S = 0.2

FILLS: dict[Topic, tuple[type[Row], ...]] = {
    Topic.STATUS: (StatusEventRow,),
    Topic.ATTEMPTS: (AttemptRow,),
    Topic.REQUESTS: (RequestRow,),
    Topic.INBOUND: (InboundRow,),
    Topic.CONSENT_CHANGES: (ConsentChangeRow,),
    Topic.DEAD_LETTERS: (DeadLetterRow,),
    Topic.OUTCOMES: (MessageRow, NotificationRow, OutcomeHistoryRow),
}
"""Which tables each topic fills."""


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


@dataclass(slots=True)
class Done:
    """How far a back-fill is; records and rows so far."""

    records: int = 0
    given_up: int = 0
    rows: dict[str, int] = field(default_factory=dict)


class _Landing:
    """The one place that knows the sink's own steps: range to blocks, block to table, the rest to letters."""

    def __init__(self, config: AnalyticsConfig, codec: Codec, tables: Iterable[str]) -> None:
        self._tables = frozenset(tables)
        self._preparer = Preparer(codec, Privacy(config.pii_hash_key))
        self._lander = Lander(config.clickhouse_url)
        self._letters = DeadLetters(config.kafka, codec)

    def land(self, source: Range, done: Done) -> None:
        """1. rows in; 2. dead letters acknowledged. Both are the same rows when they come again."""
        prepared = self._preparer.prepare(source)
        given_up = {given.record.place: given for given in prepared.given_up}
        for block in prepared.blocks:
            table = TABLES[block.row_type]
            if self._tables and table not in self._tables:
                continue
            refused = self._lander.land(block)
            given_up |= {given.record.place: given for given in refused}
            done.rows[table] = done.rows.get(table, 0) + block.frame.height - len(refused)
        # The dead letter of a dead letter would be as unreadable, and come back here.
        if source.topic != Topic.DEAD_LETTERS:
            self._letters.deliver(list(given_up.values()))
        done.records += len(source)
        done.given_up += len(given_up)

    def close(self) -> None:
        self._letters.close()
        self._lander.close()


def topics_of(tables: Iterable[str]) -> tuple[Topic, ...]:
    """The topics that fill these tables; all of them when none is named. Raises AnalyticsError."""
    named = set(tables)
    unknown = sorted(named - set(TABLES.values()))
    if unknown:
        raise AnalyticsError(
            f"no table {', '.join(unknown)} is filled from Kafka; there are: "
            f"{', '.join(sorted(TABLES.values()))}"
        )
    return tuple(
        topic for topic, types in FILLS.items() if not named or any(TABLES[each] in named for each in types)
    )


def spans(
    config: AnalyticsConfig, topics: Iterable[str], window: Window, *, look_up: bool = True
) -> tuple[Span, ...]:
    """What would be read. `look_up` false, for a broker that knows no times: everything, from the beginning.

    Raises KafkaException when the broker does not answer, AnalyticsError for a topic it does not have.
    """
    with closing(
        Consumer(config.kafka.consumer("notifystream-backfill", "notifystream-backfill"))
    ) as consumer:
        return tuple(each for topic in topics for each in _spans(consumer, topic, window, look_up))


def backfill(
    config: AnalyticsConfig,
    read: Iterable[Span],
    window: Window,
    tables: Iterable[str] = (),
    on_batch: Callable[[Done], None] = lambda done: None,
) -> Done:
    """Land these spans again, only these tables' rows when any are named; `on_batch` hears how far it is.

    Raises ClickHouseAway, RegistryUnavailable, DeadLetterUndelivered, KafkaException, AnalyticsError: run it
    again.
    """
    done = Done()
    with (
        closing(Codec(config.schema_registry_url)) as codec,
        closing(_Landing(config, codec, tables)) as landing,
    ):
        held: dict[Partition, Range] = {}
        for topic, partition, offset, key, value in _records(config, read, window):
            held.setdefault((topic, partition), Range(topic, partition)).add(offset, key, value)
            if sum(map(len, held.values())) >= config.batch_rows:
                _land(landing, held, done, on_batch)
        if held:
            _land(landing, held, done, on_batch)
    return done


def _land(
    landing: _Landing, held: dict[Partition, Range], done: Done, on_batch: Callable[[Done], None]
) -> None:
    for source in held.values():
        landing.land(source, done)
    held.clear()
    on_batch(done)


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


_FAR = 2**63 - 1


def _records(
    config: AnalyticsConfig, read: Iterable[Span], window: Window
) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
    """Every record of the spans: topic, partition, offset, key, value. Raises KafkaException."""
    left = {(each.topic, each.partition): each for each in read if each.offsets}
    if not left:
        return
    settings = config.kafka.consumer("notifystream-backfill", "notifystream-backfill")
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
