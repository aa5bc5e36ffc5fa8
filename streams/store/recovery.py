"""A partition on the disk brought up to its changelog, bytes to bytes.

Guarantees: afterwards the disk holds what the last committed transactions of whoever owned the partition say.
A transaction left open by a process that died is waited for: what it wrote either becomes visible here or
never will be. What is read is kept in steps, each with its offset, so that an interrupted recovery goes on
where it was.

The disk is believed only when it names this very changelog (cluster and topic id), says no more than the
changelog holds, and is younger than `BELIEVED_MS`: the broker forgets deletions after `delete.retention.ms`
(24 h unless set), and a store older than that would bring deleted rows back.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.clients import Kafka
from schemas.snapshot import SnapshotTimeout
from streams.store.errors import RecoveryInterrupted
from streams.store.partition import Partition

log = structlog.get_logger(__name__)

# Also how long the rows of a partition that went elsewhere stay on the disk.
BELIEVED_MS = 12 * 3_600_000
_AT_ONCE = 5_000
_STEP = 20_000
_POLL_S = 0.2


class Changelog:
    """The changelog topic of one table, read partition by partition. Blocks: not for an event loop's thread.

    `timeout_s`: how long the broker may show no progress before SnapshotTimeout. Raises KafkaException.
    """

    def __init__(self, kafka: Kafka, topic: str, timeout_s: float = 120.0) -> None:
        self._kafka = kafka
        self._topic = topic
        self._timeout_s = timeout_s
        self._source: str | None = None
        self.partitions = 0
        config = kafka.consumer("notifystream-recovery", "notifystream-unused")
        self._consumer = Consumer(
            config
            | {
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                # As shipped (64 MB) 100,000 rows would wait in memory beside those being written.
                "queued.max.messages.kbytes": 16_384,
            }
        )
        # Asks for ends only: that of what was written, committed or not.
        self._uncommitted = Consumer(config | {"isolation.level": "read_uncommitted"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        self._uncommitted.close()

    def catch_up(self, store: Partition, now: int, stopped: Callable[[], bool] = lambda: False) -> int:
        """Bring `store` up to the end of its partition. Returns how many records were read.

        `now`: ms since the epoch. Raises RecoveryInterrupted once `stopped()`, SnapshotTimeout.
        """
        end = self._end(store.number)
        source = self._source = self._source or self._identity()
        reason = _disbelieved(store, source, end, now)
        if reason is not None:
            if store.reached.offset:
                log.warning(
                    "rows are rebuilt from the changelog",
                    topic=self._topic,
                    partition=store.number,
                    why=reason,
                )
            store.begin_again(source)
        return self._read(store, end, now, stopped)

    def _read(self, store: Partition, end: int, now: int, stopped: Callable[[], bool]) -> int:
        changes: dict[bytes, bytes | None] = {}
        reached, read = store.reached.offset, 0
        deadline = time.monotonic() + self._timeout_s
        self._consumer.assign([TopicPartition(self._topic, store.number, reached)])
        try:
            while reached < end:
                if stopped():
                    raise RecoveryInterrupted(
                        f"{self._topic} [{store.number}] was taken away at {reached} of {end}"
                    )
                for message in self._consumer.consume(_AT_ONCE, _POLL_S):
                    error = message.error()
                    if error is None:
                        key = message.key() or b""
                        changes[key] = message.value()
                        reached = message.offset() + 1  # type: ignore[operator]
                        read += 1
                    elif error.code() == KafkaError._PARTITION_EOF:
                        reached = message.offset() or reached  # behind markers, which are never delivered
                    elif error.fatal():
                        raise KafkaException(error)
                    else:
                        continue  # librdkafka goes on by itself
                    deadline = time.monotonic() + self._timeout_s
                if len(changes) >= _STEP:
                    store.load(changes, reached, now)
                    changes = {}
                if time.monotonic() > deadline:
                    raise SnapshotTimeout(
                        f"read {self._topic} [{store.number}] up to {reached} of {end} in "
                        f"{self._timeout_s} s; is a transaction hanging there?"
                    )
        finally:
            self._consumer.unassign()
        store.load(changes, reached, now)
        return read

    def _end(self, partition: int) -> int:
        """The offset behind the last record, committed or not."""
        place = TopicPartition(self._topic, partition)
        watermarks = self._uncommitted.get_watermark_offsets(place, timeout=self._timeout_s)
        if watermarks is None:
            raise SnapshotTimeout(
                f"the broker did not tell the end of {self._topic} [{partition}] in {self._timeout_s} s"
            )
        return int(watermarks[1])

    def _identity(self) -> str:
        """The topic's identity: another one of its name, or of another cluster, is another changelog."""
        admin = AdminClient(self._kafka.client("notifystream-recovery"))
        listed = admin.list_topics(self._topic, timeout=self._timeout_s)
        self.partitions = len(listed.topics[self._topic].partitions)
        if listed.controller_id not in listed.brokers:
            return str(listed.cluster_id)  # nobody there knows topic ids: a cluster of one process, in memory
        described = admin.describe_topics(TopicCollection([self._topic]), request_timeout=self._timeout_s)
        return f"{listed.cluster_id}/{described[self._topic].result(self._timeout_s).topic_id}"


def is_too_old(store: Partition, now: int) -> bool:
    """Whether the broker may have forgotten deletions since the store was last known to be complete."""
    return not -BELIEVED_MS < now - store.reached.at < BELIEVED_MS


def _disbelieved(store: Partition, source: str, end: int, now: int) -> str | None:
    """Why what is on the disk cannot be believed, or None."""
    known = store.reached
    if known.source != source:
        return "it is of another changelog" if known.source else "there is nothing yet"
    if known.offset > end:
        return f"it knows offset {known.offset}, and the changelog ends at {end}"
    if is_too_old(store, now):
        return "it is so old that deletions may be unknown to it"
    return None
