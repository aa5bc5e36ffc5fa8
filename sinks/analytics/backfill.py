"""Lands again what the topics hold between two times: after a table was lost, or for one that is new.

Guarantees: the rows are those the sink makes of the same records, so that what is there already collapses
with its copy; nobody's committed offsets move; what cannot be read becomes the dead letter it would be in the
sink. A crash leaves some of the rows in: run it again, to the same end. Leaves to others: what the times mean
(`between`), what the broker has already deleted or compacted, and the aggregates, which find by themselves
the hours that were touched.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field

from schemas.codec import Codec
from schemas.topics import Topic
from sinks.analytics.between import Span, Window, records
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.deadletters import DeadLetters
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.landing import Lander, Preparer
from sinks.analytics.privacy import Privacy
from sinks.analytics.ranges import Partition, Range
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
        for topic, partition, offset, key, value in records(config.kafka, read, window):
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
