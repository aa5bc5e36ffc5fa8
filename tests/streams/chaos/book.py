"""The public answers as a producer would follow them: every outcome, in its order, while it is committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import NotificationOutcome
from schemas.topics import Topic
from schemas.vocabulary import NotificationState
from tests.streams.chaos.plan import Story
from tests.streams.chaos.terms import PARTITIONS


class Refusal(NamedTuple):
    """A conflict as it was told, and how often; `said` leaves out when."""

    said: bytes
    times: int


@dataclass(slots=True)
class Entry:
    """One notification's outcomes so far. `gaps`: versions that did not follow the one before by one."""

    version: int = 0
    state: NotificationState = NotificationState.REQUESTED
    duplicates: int = 0
    gaps: int = 0


class Book:
    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self.entries: dict[str, Entry] = {}
        self.refusals: dict[str, Refusal] = {}
        self.strange: list[str] = []
        self.final = 0
        self._codec = codec
        self._consumer = Consumer(kafka.consumer("book", "book"))
        self._consumer.assign([TopicPartition(Topic.OUTCOMES, p, 0) for p in range(PARTITIONS)])

    def read(self, timeout_s: float) -> int:
        """What has come since, waiting so long at most for the first. Returns how many."""
        messages = self._consumer.consume(2_000, timeout_s)
        for message in messages:
            assert message.error() is None, message.error()
            self._enter(self._codec.decode(message.value(), NotificationOutcome))
        return len(messages)

    def close(self) -> None:
        self._consumer.close()

    def check(self, stories: dict[str, Story]) -> list[str]:
        """What is not as the stories have it, whatever the processors' own functions say."""
        wrong = list(self.strange)
        wrong += [f"{each}: nothing was ever told of it" for each in stories.keys() - self.entries.keys()]
        wrong += [f"{each}: nobody asked for it" for each in self.entries.keys() - stories.keys()]
        conflicts = {story.conflict for story in stories.values() if story.conflict is not None}
        wrong += [f"{each}: the conflict was never refused" for each in conflicts - self.refusals.keys()]
        wrong += [f"{each}: refused, and no conflict" for each in self.refusals.keys() - conflicts]
        for notification, entry in self.entries.items():
            told = stories.get(notification)
            if told is None:
                continue
            if entry.gaps:
                wrong.append(f"{notification}: {entry.gaps} of its {entry.version} versions do not follow")
            if entry.state not in told.ends:
                wrong.append(
                    f"{notification}: ended {entry.state.value}; its story ({told.fate.value}) ends "
                    f"{' or '.join(sorted(told.ends))}"
                )
            if entry.duplicates != told.duplicates:
                wrong.append(f"{notification}: {entry.duplicates} repeats counted of {told.duplicates}")
        return wrong

    def _enter(self, outcome: NotificationOutcome) -> None:
        notification = outcome.notification_id
        if outcome.state is NotificationState.CONFLICT:
            said = msgspec.json.encode(msgspec.structs.replace(outcome, updated_at=0, requested_at=0))
            known = self.refusals.get(notification)
            if known is not None and known.said != said:
                self.strange.append(f"{notification}: refused in other words than before")
            self.refusals[notification] = Refusal(said, 1 if known is None else known.times + 1)
            return
        entry = self.entries.setdefault(notification, Entry())
        self.final += outcome.final - entry.state.final
        entry.gaps += outcome.version != entry.version + 1
        entry.version, entry.state, entry.duplicates = outcome.version, outcome.state, outcome.duplicates
