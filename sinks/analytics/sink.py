"""The analytics sink: Kafka to ClickHouse in batches, committed only after they are in.

Guarantees: every record of the topics lands effectively once, or as a dead letter, across crashes, rebalances
and absences of ClickHouse, the registry and the broker, which cost lag and nothing else.
Leaves to others: what a record becomes (`rows`), how a batch gets in (`landing`), which copy stands (tables).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.topics import Topic
from sinks.analytics import metrics
from sinks.analytics.batch import Batch
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.deadletters import DeadLetters
from sinks.analytics.errors import (
    AnalyticsError,
    ClickHouseAway,
    DeadLetterUndelivered,
    IntentUnwritten,
)
from sinks.analytics.landing import Block, Lander, Preparer
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.ranges import Given, Partition, Range, cut_in, note_of
from sinks.analytics.refreshing import Refresher
from sinks.analytics.rows import LANDINGS

log = logging.getLogger(__name__)

# Also how long a stop, or the end of a batch's time, may go unnoticed while nothing arrives.
POLL_S = 0.1
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# A topic made after the start is found after this; librdkafka's default is 5 minutes.
METADATA_MS = 5_000
# Messages taken over at once: enough that the call costs nothing, few enough that a stop is soon noticed.
MOST_AT_ONCE = 10_000
# How long an insert may take before the membership needs looking after; the broker's answers as well.
SLOW_S, ANSWER_S = 1.0, 10.0
AWAY = (ClickHouseAway, RegistryUnavailable, DeadLetterUndelivered, IntentUnwritten)

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
        self._preparer = Preparer(self._codec, Privacy(config.pii_hash_key))
        self._lander = Lander(config.clickhouse_url)
        self._refresher = Refresher(config.clickhouse_url)
        # One thread, so that one block travels while the next is made.
        self._inserting = ThreadPoolExecutor(1, "insert")
        self._dead_letters = DeadLetters(config.kafka, self._codec)
        self._batch = Batch()
        self._batch_since = 0.0
        # Ranges between intent and commit. Partitions taken away disappear from here as well.
        self._landing: dict[Partition, Range] = {}
        self._owned: set[Partition] = set()
        # Partitions given to us whose notes have not been read yet.
        self._new: set[Partition] = set()
        # Messages that came while we only meant to keep the membership; they are next.
        self._early: list[Message] = []
        self._paused = False
        settings = config.kafka.consumer("notifystream-analytics", config.group)
        self._consumer = Consumer(settings | {"topic.metadata.refresh.interval.ms": METADATA_MS})

    def run(self) -> None:
        applied = self._until_done(
            "clickhouse", lambda: migrate(self._config.clickhouse_url, self._config.layout)
        )
        if applied:
            log.info("applied %s", ", ".join(applied))
        self._consumer.subscribe(
            list(LANDINGS), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        while not self._stop.is_set():
            self._read(self._consumer.consume(self._room(), POLL_S))
            if self._full():
                self._flush()
            self._refresher.between_batches(time.monotonic())
        if len(self._batch):
            self._flush()

    def close(self) -> None:
        self._inserting.shutdown()
        self._dead_letters.close()
        self._lander.close()
        self._consumer.close()
        self._codec.close()

    def _room(self) -> int:
        """How many messages to take at once. A range that must be completed is not held up by the limit."""
        room = self._config.batch_rows - len(self._batch)
        return min(MOST_AT_ONCE, room) if room > 0 else MOST_AT_ONCE

    def _full(self) -> bool:
        waiting = bool(self._batch.waiting())
        if not len(self._batch) and not waiting:
            return False
        large = len(self._batch) >= self._config.batch_rows or self._batch.size >= self._config.batch_bytes
        return (large and not waiting) or time.monotonic() - self._batch_since >= self._config.batch_s

    def _read(self, messages: list[Message]) -> None:
        if self._new:
            self._early += messages
            self._until_done("broker", self._learn_cuts)
            messages = []
        if self._early:
            messages, self._early = self._early + messages, []
        if messages and not len(self._batch):
            self._batch_since = time.monotonic()
        runs: dict[Partition, list[Message]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._complain(error)
                continue
            topic, partition = message.topic(), message.partition()
            if topic is None or partition is None:
                raise AnalyticsError(f"the broker gave a record without a place: {topic} {partition}")
            runs.setdefault((topic, partition), []).append(message)
        for of, run in runs.items():
            # What was fetched before a partition went is not ours any more.
            if of in self._owned:
                offsets = [offset for message in run if (offset := message.offset()) is not None]
                keys = [message.key() for message in run]
                self._batch.extend(of, offsets, keys, [message.value() for message in run])

    def _learn_cuts(self) -> None:
        """Read the notes of the partitions that are new here. Nothing of them is in the batch yet."""
        asked = [TopicPartition(*partition) for partition in sorted(self._new)]
        try:
            committed = self._consumer.committed(asked, timeout=ANSWER_S)
        except KafkaException as away:
            raise IntentUnwritten(f"the notes of {len(asked)} partitions cannot be read: {away}") from away
        for partition in committed:
            if partition.error is not None:
                raise IntentUnwritten(
                    f"the note of {partition.topic}[{partition.partition}] cannot be read: {partition.error}"
                )
            cut = cut_in(partition.metadata, partition.offset)
            if cut is not None:
                self._batch.expect((partition.topic, partition.partition), cut)
        self._batch_since = time.monotonic()
        self._new.clear()

    def _flush(self) -> None:
        """Put the ready ranges in. What a crash after each step leaves behind:

        Step 1, intent written down (the offset where each range begins, with a note where it ends): nothing
          is in. The next owner reads the note, and puts exactly these records into one range again.
        Step 2, blocks inserted, in any number: the next owner makes the same blocks of the same range under
          the same tokens. Those that are in are dropped whole, also behind materialized views; should
          ClickHouse have forgotten a token, the tables collapse the copies.
        Step 3, dead letters acknowledged: written again after the replay, as the same row of dead_letters.
        Step 4, the ends committed, without a note: nothing of these ranges is ever read again.
        """
        self._give_up_waiting()
        self._landing = {ready.of: ready for ready in self._batch.take()}
        self._batch_since = time.monotonic()
        # 1
        self._until_done("broker", self._intend)
        # 2
        given_up = self._land()
        # 3
        letters = [given for given in given_up if given.record.place[:2] in self._landing]
        self._until_done("dead letters", lambda: self._dead_letters.deliver(letters))
        # 4
        self._commit()
        self._landing = {}

    def _give_up_waiting(self) -> None:
        """A range may be waiting for records that retention has taken meanwhile."""
        for partition, cut in self._batch.waiting().items():
            asked = TopicPartition(*partition)
            try:
                oldest, _ = self._consumer.get_watermark_offsets(asked, timeout=ANSWER_S)
            except KafkaException as away:
                log.warning("%s[%d]: its oldest offset is unknown: %s", *partition, away)
                continue
            (position,) = self._consumer.position([asked])
            if oldest >= cut or position.offset >= cut:
                self._batch.no_more(partition)

    def _intend(self) -> None:
        """Raises IntentUnwritten when the broker did not take down every note."""
        intents = [
            TopicPartition(ready.topic, ready.partition, ready.start, metadata=note_of(ready))
            for ready in self._landing.values()
        ]
        if not intents:
            return
        try:
            refusals = [result.error for result in self._written(intents) if result.error is not None]
        except KafkaException as refused:
            raise IntentUnwritten(f"the next ranges cannot be written down: {refused}") from refused
        if refusals:
            raise IntentUnwritten(f"the next ranges cannot be written down: {refusals[0]}")

    def _land(self) -> list[Given]:
        """Insert block after block, making one while another is on its way. Returns what was given up."""
        given_up: list[Given] = []
        on_its_way: Callable[[], tuple[Given, ...]] = tuple
        for ready in list(self._landing.values()):
            if ready.of not in self._landing:
                continue
            prepared = self._until_done("registry", partial(self._preparer.prepare, ready))
            given_up += prepared.given_up
            for block in prepared.blocks:
                given_up += on_its_way()
                on_its_way = self._sent(block)
        given_up += on_its_way()
        return [given for given in given_up if self._is_to_be_told(given)]

    def _sent(self, block: Block) -> Callable[[], tuple[Given, ...]]:
        """Start the insert; the result waits for its end."""
        if block.source.of not in self._landing:
            # Taken away meanwhile: the next owner puts it in.
            return tuple
        first = self._inserting.submit(self._lander.land, block)

        def ended() -> tuple[Given, ...]:
            attempts = iter([first])

            def step() -> tuple[Given, ...]:
                if block.source.of not in self._landing:
                    first.cancel()
                    return ()
                running = next(attempts, None) or self._inserting.submit(self._lander.land, block)
                while not wait([running], SLOW_S).done:
                    self._keep_membership(POLL_S)
                return running.result()

            return self._until_done("clickhouse", step)

        return ended

    def _is_to_be_told(self, given: Given) -> bool:
        record = given.record
        log.warning("%s[%d]@%d: %s: %s", *record.place, given.reason, given.detail)
        if record.place.topic == Topic.DEAD_LETTERS:
            # Its dead letter would be as unreadable, and come back here.
            metrics.SKIPPED.labels(given.reason).inc()
            return False
        metrics.DEAD_LETTERS.labels(record.place.topic, given.reason).inc()
        return True

    def _commit(self) -> None:
        ends = [
            TopicPartition(landed.topic, landed.partition, landed.end) for landed in self._landing.values()
        ]
        if not ends:
            # Every partition of the batch was revoked meanwhile, or none was ready.
            return
        try:
            results = self._written(ends)
        except KafkaException as refused:
            # No longer ours, or the coordinator is away: the next commit, or the next owner, makes it good.
            metrics.COMMITS_REFUSED.inc()
            log.warning("commit refused, the ranges will land again as the same rows: %s", refused)
            return
        for result in results:
            if result.error is not None:
                metrics.COMMITS_REFUSED.inc()
                log.warning("commit of %s[%d] refused: %s", result.topic, result.partition, result.error)
        metrics.BATCHES.inc()
        self._show_lag(ends)

    def _written(self, offsets: list[TopicPartition]) -> list[TopicPartition]:
        return self._consumer.commit(offsets=offsets, asynchronous=False) or []

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
        given = {(partition.topic, partition.partition) for partition in partitions}
        self._owned |= given
        self._new |= given
        if partitions:
            # A pause outlives the partition's leaving, and would meet it again here.
            (consumer.pause if self._paused else consumer.resume)(partitions)
        if self._on_ready is not None:
            self._on_ready(f"group {self._config.group}, {len(partitions)} partitions")
            self._on_ready = None

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop, not flush: the batch is a second's work at most, and the next owner reads it again anyway."""
        gone = {(partition.topic, partition.partition) for partition in partitions}
        self._batch.drop(gone)
        self._owned -= gone
        self._new -= gone
        self._landing = {of: landing for of, landing in self._landing.items() if of not in gone}
        self._early = [m for m in self._early if (m.topic(), m.partition()) not in gone]
        for topic, number in gone:
            metrics.LAG.labels(topic, number).set(0)

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            raise AnalyticsError(f"the broker ended this consumer for good: {error}; start it again")
        log.warning("kafka: %s", error)
