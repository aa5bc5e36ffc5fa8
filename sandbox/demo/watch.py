"""What the pipeline says while it works, read from Kafka as any other client would.

Guarantees: sees every outcome and dead letter written after it was opened, in order per key; keeps those of
the plan and no others, so that a broker with a past does not disturb. Leaves to `run` what to wait for.
"""

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sandbox.demo.plan import Kind, Plan
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter, NotificationOutcome
from schemas.topics import Topic

_TIMEOUT_S = 20.0
_BATCH = 500


class Watch:
    """Opened before anything is published. A context manager; not for several threads."""

    def __init__(self, kafka: Kafka, codec: Codec, plan: Plan) -> None:
        self._codec = codec
        self._ids = {planned.notification_id for planned in plan.events if planned.request is not None}
        self._unreadable = {p.value for p in plan.events if p.kind is Kind.UNREADABLE}
        self._conflicts = sum(planned.kind is Kind.CONFLICT for planned in plan.events)
        self._outcomes: dict[str, NotificationOutcome] = {}
        self._dead_letters: set[bytes] = set()
        self.changed_at = time.monotonic()
        self._consumer = Consumer(kafka.consumer("notifystream-demo", f"notifystream-demo-{time.time_ns()}"))
        self._consumer.assign(
            [partition for topic in (Topic.OUTCOMES, Topic.DEAD_LETTERS) for partition in self._ends(topic)]
        )

    @property
    def outcomes(self) -> Mapping[str, NotificationOutcome]:
        """The latest of each notification, conflicts included."""
        return self._outcomes

    @property
    def dead_letters(self) -> frozenset[bytes]:
        """The plan's unreadable events that were given up."""
        return frozenset(self._dead_letters)

    @property
    def states(self) -> Counter[str]:
        return Counter(outcome.state.value for outcome in self._outcomes.values())

    @property
    def final(self) -> int:
        return sum(outcome.final for outcome in self._outcomes.values())

    @property
    def admitted(self) -> int:
        """Notifications of which at least one attempt was commanded."""
        return sum(bool(outcome.attempts) for outcome in self._outcomes.values())

    @property
    def open(self) -> int:
        """How many answers are still missing: final outcomes, refused conflicts, dead letters."""
        conflicts = sum(outcome.conflicts_with is not None for outcome in self._outcomes.values())
        finals = sum(self._outcomes[i].final for i in self._ids if i is not None and i in self._outcomes)
        missing = len(self._ids) - finals + len(self._unreadable) - len(self._dead_letters)
        return missing + max(0, self._conflicts - conflicts)

    def read(self, seconds: float) -> None:
        """Take in what comes within `seconds`. Raises KafkaException, or WireError on what is no record."""
        for message in self._consumer.consume(_BATCH, seconds):
            error = message.error()
            if error is not None:
                if error.retriable():
                    continue
                raise KafkaException(error)
            value = message.value()
            assert value is None or isinstance(value, bytes)
            if message.topic() == Topic.DEAD_LETTERS:
                self._take_dead_letter(self._codec.decode(value, DeadLetter))
            else:
                self._take(self._codec.decode(value, NotificationOutcome))

    def _take(self, outcome: NotificationOutcome) -> None:
        if outcome.notification_id not in self._ids and outcome.conflicts_with not in self._ids:
            return
        known = self._outcomes.get(outcome.notification_id)
        if known is None or outcome.version > known.version:
            self._outcomes[outcome.notification_id] = outcome
            self.changed_at = time.monotonic()

    def _take_dead_letter(self, letter: DeadLetter) -> None:
        if letter.value is not None and letter.value in self._unreadable:
            self._dead_letters.add(letter.value)

    def _ends(self, topic: str) -> list[TopicPartition]:
        partitions = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        ends = []
        for number in partitions:
            at = TopicPartition(topic, number)
            at.offset = self._consumer.get_watermark_offsets(at, timeout=_TIMEOUT_S)[1]
            ends.append(at)
        return ends

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
