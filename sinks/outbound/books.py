"""What the process knows of its partitions' commands, and what it has learned since the last turn.

Guarantees: whatever is entered in a journal here is also in the next turn, so the topic never knows less than
the memory does for longer than one turn. Leaves to others: when a turn is committed, and every decision.
"""

import time
from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from confluent_kafka import Message

from schemas.errors import WireError
from schemas.records import (
    AttemptEvent,
    DeadLetter,
    JournalEntry,
    OutboundControl,
    ProviderStatus,
    SenderState,
)
from schemas.vocabulary import CommandResult, ErrorClass
from sinks.outbound.journal import Journal, ended
from sinks.outbound.provider import SendAnswer
from sinks.outbound.reports import report, report_of, result_of
from sinks.outbound.turn import Turn

_TOLD = {CommandResult.RELEASED: CommandResult.ABSENT, CommandResult.DROPPED: CommandResult.HELD}
"""What others are told of what only the journal tells apart."""

_WRITE_AGAIN_MS = 86_400_000
"""How often what is held is written again, so that its topic's retention never takes it."""


def now_ms() -> int:
    return int(time.time() * 1000)


class Ending(NamedTuple):
    """Something that was reported of commands, to be counted."""

    sender: str
    result: CommandResult
    error_class: ErrorClass | None


class FetchEnd(StrEnum):
    """What became of a question about a message's status."""

    ANSWERED = "answered"
    # The provider knows no such message.
    UNKNOWN = "unknown"
    FAILED = "failed"
    # Not asked: too many questions were waiting, or its answer came too late for anybody.
    SHED = "shed"


class Books:
    """The journals of the partitions owned now, and the turn in the making. For the event loop only."""

    def __init__(self) -> None:
        self._journals: dict[int, Journal] = {}
        self._turn = Turn()
        self._written_at: dict[str, int] = {}
        self.endings: Counter[Ending] = Counter()
        self.fetches: Counter[FetchEnd] = Counter()

    @property
    def journals(self) -> dict[int, Journal]:
        return self._journals

    def take_over(self, partition: int, journal: Journal) -> None:
        """Own a partition. What its last owner left open is in doubt, so that evidence is looked for."""
        self._journals[partition] = journal
        for entry in journal.open_entries():
            if entry.state is CommandResult.STARTED:
                self.close(partition, entry, CommandResult.IN_DOUBT, None, "its process ended")

    def let_go(self, partition: int) -> None:
        self._journals.pop(partition, None)

    def start(self, partition: int, entry: JournalEntry) -> None:
        """A command is about to be called: not before the next turn is committed."""
        self._enter(partition, entry)

    def answered(self, partition: int, entry: JournalEntry, answer: SendAnswer, latency_ms: int) -> None:
        now = now_ms()
        self._enter(partition, ended(entry, result_of(answer), now, getattr(answer, "sid", None)))
        self._report(report_of(entry, answer, latency_ms, now))

    def close(
        self, partition: int, entry: JournalEntry, result: CommandResult, sid: str | None, detail: str | None
    ) -> None:
        """Something is known of a command without a call's answer."""
        now = now_ms()
        self._enter(partition, ended(entry, result, now, sid, detail))
        self._report(report(entry, _TOLD.get(result, result), now, sid=sid, detail=detail))

    def keep_in_mind(self, now: int) -> None:
        """Remember what is held for as long as it is, and nothing else for longer than its topic does."""
        held = {
            entry.command_id: (partition, entry)
            for partition, journal in self._journals.items()
            for entry in journal.open_entries()
            if entry.state is CommandResult.HELD
        }
        self._written_at = {name: at for name, at in self._written_at.items() if name in held}
        for name, (partition, entry) in held.items():
            if now - self._written_at.get(name, entry.at) >= _WRITE_AGAIN_MS:
                self._written_at[name] = now
                self._turn.journal(partition, entry)
        for journal in self._journals.values():
            journal.forget(now)

    def decide(self, partition: int, control: OutboundControl) -> None:
        """What is decided here is read back by whoever owns the partition then."""
        self._turn.control(partition, control)

    def show(self, state: SenderState) -> None:
        self._turn.show(state)

    def status(self, status: ProviderStatus) -> None:
        self._turn.status(status)

    def bury(self, message: Message, unreadable: WireError) -> None:
        key = message.key()
        self._turn.bury(
            DeadLetter(
                stage="sinks.outbound",
                reason=unreadable.reason,
                detail=str(unreadable),
                topic=str(message.topic()),
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                key=key.encode() if isinstance(key, str) else key,
                value=message.value(),
                at=now_ms(),
            )
        )

    def has_news(self) -> bool:
        return bool(self._turn)

    def take_turn(self) -> Turn:
        """Everything since the last call; the caller commits it or ends the process."""
        turn, self._turn = self._turn, Turn()
        return turn

    def _report(self, event: AttemptEvent) -> None:
        self.endings[Ending(event.sender, event.result, event.error_class)] += 1
        self._turn.report(event)

    def _enter(self, partition: int, entry: JournalEntry) -> None:
        journal = self._journals.get(partition)
        if journal is not None:
            journal.record(entry)
        self._turn.journal(partition, entry)
