"""One turn of the sink: everything learned and decided since the last, committed in one Kafka transaction.

1. Results, evidence and the entries of the commands about to be started go into the journal topic, what the
   delivery processor must know into its topics, and the consumed offsets with them: one transaction.
   A crash before its end: none of it happened. No call was made for the commands of this turn; the calls of
   earlier turns whose results are lost here are `started` in the journal, so they are in doubt, never made
   again, and settled by evidence.
2. After the commit, and only then, the calls begin.
   A crash from here on: the same, the command is in doubt.
"""

from confluent_kafka import KafkaException, Producer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import (
    AttemptEvent,
    DeadLetter,
    JournalEntry,
    OutboundControl,
    ProviderStatus,
    Record,
    SenderState,
)
from schemas.topics import Topic
from sinks.outbound.controls import key_of

_TIMEOUT_S = 30.0


class TurnFailed(Exception):
    """The transaction was not committed: the process must end; what it holds is rebuilt from the journal."""


class Turn:
    """What one transaction will hold."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, JournalEntry]] = []
        self.controls: list[tuple[int, OutboundControl]] = []
        self.records: list[tuple[Topic, str, Record]] = []

    def journal(self, partition: int, entry: JournalEntry) -> None:
        self.entries.append((partition, entry))

    def control(self, partition: int, control: OutboundControl) -> None:
        self.controls.append((partition, control))

    def report(self, event: AttemptEvent) -> None:
        self.records.append((Topic.ATTEMPTS, event.notification_id, event))

    def status(self, status: ProviderStatus) -> None:
        self.records.append((Topic.STATUS, status.notification_id or status.message_sid, status))

    def show(self, state: SenderState) -> None:
        self.records.append((Topic.SENDERS, state.sender, state))

    def bury(self, letter: DeadLetter) -> None:
        self.records.append((Topic.DEAD_LETTERS, f"{letter.topic}-{letter.partition}", letter))

    def __bool__(self) -> bool:
        return bool(self.entries or self.controls or self.records)


class Transactions:
    """Commits turns. Blocks: call it from a thread, one call at a time."""

    def __init__(self, kafka: Kafka, codec: Codec, transactional_id: str) -> None:
        self._codec = codec
        self._producer = Producer(
            kafka.producer(transactional_id, linger_ms=0, delivery_timeout_ms=9_000)
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": 10_000,
                # As shipped (100) every back-to-back transaction takes 100 ms (facts, Kafka; KAFKA-5477).
                "retry.backoff.ms": 1,
                "retry.backoff.max.ms": 100,
            }
        )

    def start(self) -> None:
        """Fence a predecessor of the same id and abort what it left open. Raises TurnFailed."""
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as failed:
            raise TurnFailed(f"the transactional producer did not start: {failed.args[0]}") from failed

    def commit(self, turn: Turn, offsets: list[TopicPartition], group_metadata: object) -> None:
        """Make the turn and the offsets durable and visible together. Raises TurnFailed."""
        try:
            self._producer.begin_transaction()
            for partition, entry in turn.entries:
                self._produce(Topic.JOURNAL, entry.command_id, entry, partition)
            for partition, control in turn.controls:
                self._produce(Topic.CONTROLS, key_of(control), control, partition)
            for topic, key, record in turn.records:
                self._produce(topic, key, record, -1)
            if offsets:
                self._producer.send_offsets_to_transaction(offsets, group_metadata, _TIMEOUT_S)
            self._producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as failed:
            raise TurnFailed(f"a transaction was not committed: {failed.args[0]}") from failed

    def _produce(self, topic: Topic, key: str, record: Record, partition: int) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, key=key.encode(), value=self._codec.encode(topic, record), partition=partition
                )
                return
            except BufferError:
                self._producer.poll(0.05)  # the local queue is full: wait for the broker
