"""The analytics sink: Kafka to ClickHouse in batches, committed only after they are in.

Guarantees: every record of the topics lands effectively once, or as a dead letter, across crashes, rebalances
and absences of ClickHouse, the registry and the broker, which cost lag and nothing else.
Leaves to others: what a record becomes (`rows`), how a batch gets in (`landing`), which copy stands (tables).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, WireError
from schemas.topics import Topic
from sinks.analytics import metrics
from sinks.analytics.batch import Batch, Kept, Partition
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.deadletters import DeadLetters
from sinks.analytics.errors import AnalyticsError, ClickHouseAway, DeadLetterUndelivered, RowError
from sinks.analytics.landing import Lander
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import LANDINGS, Place
from sinks.analytics.tables import Row

log = logging.getLogger(__name__)

# Also how long a stop, or the end of a batch's time, may go unnoticed while nothing arrives.
POLL_S = 0.1
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# A topic made after the start is found after this; librdkafka's default is 5 minutes.
METADATA_MS = 5_000
AWAY = (ClickHouseAway, RegistryUnavailable, DeadLetterUndelivered)

T = TypeVar("T")


class Stopping(Exception):
    """The stop was asked for while something was away: what is not committed is read again next time."""


def run(config: AnalyticsConfig, on_ready: Callable[[str], None], stop: threading.Event) -> None:
    """Land records until `stop` is set. Blocks; needs no signal handler and may run in any thread.

    `on_ready` is called once, with what is read, when the tables exist and the group has given this process
    its partitions. Raises MigrationError when the database cannot be used, AnalyticsError when the broker
    ends the consumer for good.
    """
    sink = _Sink(config, on_ready, stop)
    try:
        sink.run()
    except Stopping:
        log.info("stopped while waiting; what is not committed is read again")
    finally:
        sink.close()


class _Sink:
    def __init__(
        self, config: AnalyticsConfig, on_ready: Callable[[str], None], stop: threading.Event
    ) -> None:
        self._config = config
        self._on_ready: Callable[[str], None] | None = on_ready
        self._stop = stop
        self._codec = Codec(config.schema_registry_url)
        self._privacy = Privacy(config.pii_hash_key)
        self._lander = Lander(config.clickhouse_url)
        self._dead_letters = DeadLetters(config.kafka, self._codec)
        self._batch = Batch()
        self._batch_since = 0.0
        # Messages that came while we only meant to keep the membership; they are next.
        self._early: list[Message] = []
        # Partitions taken away since the record in hand was read.
        self._gone: set[Partition] = set()
        self._paused = False
        settings = config.kafka.consumer("notifystream-analytics", config.group)
        self._consumer = Consumer(settings | {"topic.metadata.refresh.interval.ms": METADATA_MS})

    def run(self) -> None:
        applied = self._until_done("clickhouse", lambda: migrate(self._config.clickhouse_url))
        if applied:
            log.info("applied %s", ", ".join(applied))
        self._consumer.subscribe(
            list(LANDINGS), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        while not self._stop.is_set():
            message = self._early.pop(0) if self._early else self._consumer.poll(POLL_S)
            if message is not None:
                self._read(message)
            if self._full():
                self._flush()
        if self._batch:
            self._flush()

    def close(self) -> None:
        self._dead_letters.close()
        self._lander.close()
        self._consumer.close()
        self._codec.close()

    def _full(self) -> bool:
        if not self._batch:
            return False
        waited = time.monotonic() - self._batch_since
        return len(self._batch) >= self._config.batch_rows or waited >= self._config.batch_s

    def _read(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            self._complain(error)
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None:
            raise AnalyticsError(f"the broker gave a record without a place: {topic} {partition} {offset}")
        record = Kept(Place(topic, partition, offset), message.key(), message.value())
        started = bool(self._batch)
        self._gone.clear()
        try:
            rows = self._until_done("registry", lambda: self._rows(record))
        except (WireError, RowError) as unreadable:
            if (topic, partition) not in self._gone:
                self._give_up(record, unreadable.reason, str(unreadable))
        else:
            # Taken away while we waited: the batch has forgotten what came before this record, so a commit of
            # it would skip that. Whoever owns the partition now reads all of it again.
            if (topic, partition) not in self._gone:
                self._batch.add(record, rows)
        if not started:
            self._batch_since = time.monotonic()

    def _rows(self, record: Kept) -> tuple[Row, ...]:
        return LANDINGS[record.place.topic](self._codec, record.value, record.place, self._privacy)

    def _give_up(self, record: Kept, reason: str, detail: str) -> None:
        log.warning("%s[%d]@%d: %s: %s", *record.place, reason, detail)
        if record.place.topic == Topic.DEAD_LETTERS:
            # Its dead letter would be as unreadable, and come back here.
            metrics.SKIPPED.labels(reason).inc()
            self._batch.skip(record.place)
        else:
            metrics.DEAD_LETTERS.labels(record.place.topic, reason).inc()
            self._batch.give_up(record, reason, detail)

    def _flush(self) -> None:
        """Insert, give up, commit. What a crash after each step leaves behind:

        Step 1, rows inserted: they are in, their offsets are not committed. The next owner reads the same
          records and inserts the same rows, which are dropped by token or collapse with the first copy.
        Step 2, dead letters acknowledged: written again after the replay, as the same row of dead_letters.
        Step 3, offsets committed: nothing of this batch is ever read again.
        """
        refused = self._until_done("clickhouse", lambda: self._lander.land(self._batch))
        for poison in refused:
            self._batch.forget(poison.record.place)
            self._give_up(*poison)
        self._until_done("dead letters", lambda: self._dead_letters.deliver(self._batch.given_up))
        self._commit()
        self._batch = Batch()

    def _commit(self) -> None:
        offsets = [
            TopicPartition(topic, partition, offset)
            for (topic, partition), offset in self._batch.next_offsets().items()
        ]
        if not offsets:
            # Every partition of the batch was revoked meanwhile.
            return
        try:
            results = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as refused:
            # No longer ours, or the coordinator is away: the next commit, or the next owner, makes it good.
            metrics.COMMITS_REFUSED.inc()
            log.warning("commit refused, the batch will land again as the same rows: %s", refused)
            return
        for result in results:
            if result.error is not None:
                metrics.COMMITS_REFUSED.inc()
                log.warning("commit of %s[%d] refused: %s", result.topic, result.partition, result.error)
        metrics.BATCHES.inc()
        self._show_lag(offsets)

    def _show_lag(self, offsets: Sequence[TopicPartition]) -> None:
        for committed in offsets:
            # From librdkafka's cache: as told with the last fetch.
            _, end = self._consumer.get_watermark_offsets(committed, cached=True)
            if end >= 0:
                metrics.LAG.labels(committed.topic, committed.partition).set(max(0, end - committed.offset))

    def _until_done(self, what: str, step: Callable[[], T]) -> T:
        """The step's result, however long what it needs is away; the group membership is kept meanwhile."""
        wait = FIRST_WAIT_S
        while True:
            try:
                result = step()
            except AWAY as away:
                metrics.WAITS.labels(what).inc()
                log.warning("%s; trying again in %.1f s", away, wait)
                self._keep_membership(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)
            else:
                self._pause(False)
                return result

    def _keep_membership(self, seconds: float) -> None:
        """Poll without reading, so that the group does not take this process for dead. Raises Stopping."""
        self._pause(True)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopping
            message = self._consumer.poll(min(POLL_S, left))
            if message is not None:
                self._early.append(message)

    def _pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        owned = self._consumer.assignment()
        if owned and paused:
            self._consumer.pause(owned)
        elif owned:
            self._consumer.resume(owned)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        if self._paused and partitions:
            consumer.pause(partitions)
        if self._on_ready is not None:
            self._on_ready(f"group {self._config.group}, {len(partitions)} partitions")
            self._on_ready = None

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop, not flush: the batch is a second's work at most, and the next owner reads it again anyway."""
        gone = {(partition.topic, partition.partition) for partition in partitions}
        self._batch.drop(gone)
        self._gone |= gone
        self._early = [m for m in self._early if (m.topic(), m.partition()) not in gone]
        for topic, number in gone:
            metrics.LAG.labels(topic, number).set(0)

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            raise AnalyticsError(f"the broker ended this consumer for good: {error}; start it again")
        log.warning("kafka: %s", error)
