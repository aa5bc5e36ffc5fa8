"""The three processors without Faust: bytes of one record in, decisions carried to table, timers and outputs.

A record that cannot be read, or that a decision trips over, goes to `dead.letters` with its place and bytes,
and the partition goes on. RegistryUnavailable, OutputsFailed and StoreError are no fault of the record: they
pass through and must end the process.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import structlog

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, WireError
from schemas.hot_reading import StatusReader
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    DeadLetter,
    DeliveryEvidence,
    InboundMessage,
    NotificationRequest,
    NotifyRequest,
    Origin,
    ProviderStatus,
    Record,
    TimerTick,
)
from schemas.topics import Topic
from streams import delivery, recipients
from streams.counts import Counts
from streams.delivery.row import NotificationRow
from streams.effects import Emit
from streams.fold import BAD_ENDS, GOOD_ENDS
from streams.intake import IntakePolicy, Unidentifiable, normalise
from streams.outputs import Outputs, Write
from streams.policy import DEFAULTS, Policies
from streams.state import RecipientRow
from streams.store.errors import StoreError
from streams.table import Table

log = structlog.get_logger(__name__)

# A dead letter is larger than what it holds, and must itself be small enough for the broker (1 MB): one that
# is not would end the process each time it is read.
MAX_KEPT = 768_000
MAX_KEPT_KEY = 32_000
ENDS = GOOD_ENDS | BAD_ENDS


class Incoming(NamedTuple):
    """One record as it was read. `at` is the broker's time of it in ms."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    at: int


class Writer:
    """Effects and dead letters onto the outputs."""

    def __init__(self, codec: Codec, outputs: Outputs, counts: Counts | None = None) -> None:
        self.codec = codec
        self.outputs = outputs
        self.counts = counts or Counts()

    def encode(self, effects: tuple[Emit, ...]) -> tuple[Write, ...]:
        """The effects as they will be written. Apart from `write`, so that one that cannot be encoded is
        found before anything of its decision is written."""
        return tuple(
            Write(effect.topic, effect.key.encode(), self.codec.encode(effect.topic, effect.record))
            for effect in effects
        )

    def write(self, writes: tuple[Write, ...]) -> None:
        for write in writes:
            self.outputs.write(*write)

    def emit(self, effects: tuple[Emit, ...]) -> None:
        self.write(self.encode(effects))

    def bury(self, stage: str, incoming: Incoming, reason: str, detail: str) -> None:
        whole = len(incoming.value or b"")
        if whole > MAX_KEPT:
            detail = f"{detail} [the first {MAX_KEPT} of {whole} bytes are kept here]"
        letter = DeadLetter(
            stage=stage,
            reason=reason,
            detail=detail,
            topic=incoming.topic,
            partition=incoming.partition,
            offset=incoming.offset,
            key=incoming.key[:MAX_KEPT_KEY],
            value=incoming.value and incoming.value[:MAX_KEPT],
            at=incoming.at,
        )
        log.warning(
            "dead letter",
            stage=stage,
            reason=reason,
            topic=incoming.topic,
            partition=incoming.partition,
            offset=incoming.offset,
        )
        self.counts.dead_letters[stage, reason] += 1
        self.emit((Emit(Topic.DEAD_LETTERS, f"{incoming.topic}-{incoming.partition}", letter),))


class Processor:
    """One stage: which topics it reads and what it does with one record of them."""

    stage: str
    inputs: tuple[Topic, ...]

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def handle(self, incoming: Incoming) -> None:
        """Decide about one record and write what follows. Raises only what must end the process."""
        try:
            carry_out = self._decided(incoming)
        except WireError as unreadable:
            self._writer.bury(self.stage, incoming, unreadable.reason, str(unreadable))
        except Unidentifiable as nobody:
            self._writer.bury(self.stage, incoming, "no-identity", str(nobody))
        except (RegistryUnavailable, StoreError):
            raise
        except Exception as defect:  # our own mistake: keep the record, go on, and say so loudly
            log.exception("a decision failed", stage=self.stage, topic=incoming.topic, offset=incoming.offset)
            self._writer.bury(
                self.stage, incoming, "processor-error", f"{type(defect).__name__} in {self.stage}"
            )
        else:
            carry_out()

    def _decided(self, incoming: Incoming) -> Callable[[], None]:
        raise NotImplementedError


class Intake(Processor):
    stage = "streams.intake"
    inputs = (Topic.NOTIFY_REQUESTED,)

    def __init__(self, writer: Writer, policy: IntakePolicy) -> None:
        super().__init__(writer)
        self._policy = policy

    def _decided(self, incoming: Incoming) -> Callable[[], None]:
        request = self._writer.codec.decode(incoming.value, NotifyRequest)
        origin = Origin(topic=incoming.topic, partition=incoming.partition, offset=incoming.offset)
        normalised = normalise(request, origin, incoming.at, self._policy)
        writes = self._writer.encode((Emit(Topic.REQUESTS, normalised.notification_id, normalised),))
        return lambda: self._writer.write(writes)


class Delivery(Processor):
    stage = "streams.delivery"
    inputs = (Topic.REQUESTS, Topic.VERDICTS, Topic.ATTEMPTS, Topic.STATUS, Topic.TIMERS)
    _records: ClassVar[dict[str, type[Record]]] = {
        Topic.REQUESTS: NotificationRequest,
        Topic.VERDICTS: AdmissionVerdict,
        Topic.ATTEMPTS: AttemptEvent,
        Topic.STATUS: ProviderStatus,
        Topic.TIMERS: TimerTick,
    }

    def __init__(
        self, writer: Writer, table: Table[NotificationRow], policy: delivery.DeliveryPolicy
    ) -> None:
        super().__init__(writer)
        self.table = table
        self._policy = policy
        self._statuses = StatusReader(writer.codec)

    def _decided(self, incoming: Incoming) -> Callable[[], None]:
        if incoming.topic == Topic.STATUS:  # four events of five
            event: Record = self._statuses.read(incoming.value)
        else:
            event = self._writer.codec.decode(incoming.value, self._records[incoming.topic])
        key = getattr(event, "notification_id", None)
        if key is None:  # a message this pipeline did not send: the topic and ClickHouse keep it
            return _nothing
        table, row_key = self.table, key.encode()
        before = table.get(incoming.partition, row_key)
        after, effects = delivery.decide(before, event, incoming.at, self._policy)  # type: ignore[arg-type]
        if after is before and not effects:
            return _nothing
        change = None if after is before else table.change(incoming.partition, row_key, before, after)
        writes = self._writer.encode(effects)
        conflict = after is not before and after is not None and _contradicts(after, event)

        def carry_out() -> None:
            if change is not None:
                table.put(change, self._writer.outputs)
            self._writer.write(writes)
            self._writer.counts.conflicts += conflict

        return carry_out

    def fire(self, now: int, at_most: int = 1_000) -> int:
        """Write a tick for every deadline that has come by `now` (ms), at most so many of each partition.

        Returns how many. What is left over comes with the next call.
        """
        due = self.table.pop_due(now, at_most)
        counts = self._writer.counts
        counts.fired += len(due)
        counts.late_ms = max((now - entry.due_at for entry in due), default=0)
        for entry in due:
            tick = TimerTick(notification_id=entry.key.decode(), due_at=entry.due_at, fired_at=now)
            self._writer.emit((Emit(Topic.TIMERS, tick.notification_id, tick),))
        return len(due)


class Recipients(Processor):
    stage = "streams.recipients"
    inputs = (Topic.INBOUND, Topic.CHECKS, Topic.CONSENT_EVIDENCE, Topic.DELIVERY_EVIDENCE)
    _records: ClassVar[dict[str, type[Record]]] = {
        Topic.INBOUND: InboundMessage,
        Topic.CHECKS: AdmissionCheck,
        Topic.CONSENT_EVIDENCE: ConsentChange,
        Topic.DELIVERY_EVIDENCE: DeliveryEvidence,
    }

    def __init__(self, writer: Writer, table: Table[RecipientRow], policies: Policies = DEFAULTS) -> None:
        super().__init__(writer)
        self.table = table
        self._policies = policies

    def _decided(self, incoming: Incoming) -> Callable[[], None]:
        event = self._writer.codec.decode(incoming.value, self._records[incoming.topic])
        row_key = event.recipient.encode()  # type: ignore[attr-defined]
        before = self.table.get(incoming.partition, row_key)
        after, effects = recipients.decide(before, event, incoming.at, self._policies)  # type: ignore[arg-type]
        changed = after != (before or RecipientRow())
        change = self.table.change(incoming.partition, row_key, before, after) if changed else None
        writes = self._writer.encode(effects)

        def carry_out() -> None:
            if change is not None:
                self.table.put(change, self._writer.outputs)
            self._writer.write(writes)
            for effect in effects:
                if isinstance(effect.record, AdmissionVerdict):
                    verdict = effect.record
                    self._writer.counts.verdicts[verdict.verdict.value, verdict.reason or ""] += 1

        return carry_out


def _contradicts(row: NotificationRow, event: Record) -> bool:
    """Whether a status that changed the row is a good end of a message that had a bad one, or vice versa."""
    if not isinstance(event, ProviderStatus) or event.status not in ENDS:
        return False
    attempt = row.attempt(event.attempt or 0)
    if attempt is None:
        return False
    seen = {mark.status for mark in attempt.marks}
    return not (seen.isdisjoint(GOOD_ENDS) or seen.isdisjoint(BAD_ENDS))


def _nothing() -> None:
    pass
