"""How sending stands, read from the topics: senders, pauses, held commands.

Guarantees: reads only; what is committed by now; nobody's offsets move. Leaves to the caller: the masking.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from notifystream.positions import Edge
from notifystream.reading import read
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import JournalEntry, OutboundControl, SenderState
from schemas.topics import Topic
from schemas.vocabulary import CommandResult, ControlAction, ControlScope
from sinks.outbound.controls import key_of

_NOBODY: Callable[[int], None] = lambda number: None  # noqa: E731


@dataclass(frozen=True, slots=True)
class HeldCommand:
    """A held command, the partition of its sender, and what was decided about it but not carried out yet."""

    entry: JournalEntry
    partition: int
    decided: OutboundControl | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision in force about everything that anything was decided about, by `key_of`."""

    by_key: dict[str, OutboundControl]

    def pauses(self, now: int) -> tuple[OutboundControl, ...]:
        """The pauses that hold, the oldest first."""
        found = [
            each
            for each in self.by_key.values()
            if each.action is ControlAction.PAUSE and (each.until is None or each.until > now)
        ]
        return tuple(sorted(found, key=lambda each: (each.at, key_of(each))))

    def about(self, command_id: str) -> OutboundControl | None:
        return self.by_key.get(f"{ControlScope.COMMAND}:{command_id}")


def decided(kafka: Kafka, codec: Codec) -> Decided:
    """Raises what `reading.read` raises."""
    last: dict[tuple[str, int], OutboundControl] = {}
    for seen in read(kafka, codec, Topic.CONTROLS, Edge(beginning=True), follow=False):
        if seen is not None and isinstance(seen.content, OutboundControl):
            last[seen.key, seen.partition] = seen.content
    return Decided(in_force((key, control) for (key, _), control in last.items()))


def in_force(last: Iterable[tuple[str, OutboundControl]]) -> dict[str, OutboundControl]:
    """Of the last decisions on each partition, by key: a pause on any of them counts, as for the sink.

    People's stand on all partitions; the sink's own on those whose process met with the refusal.
    """
    found: dict[str, OutboundControl] = {}
    for key, control in last:
        if key not in found or _weight(control) > _weight(found[key]):
            found[key] = control
    return found


def _weight(control: OutboundControl) -> tuple[bool, int]:
    return control.action is ControlAction.PAUSE, control.at


def sender_states(kafka: Kafka, codec: Codec) -> tuple[SenderState, ...]:
    """The last state of every sender, by its name. Raises what `reading.read` raises."""
    found: dict[str, SenderState] = {}
    for seen in read(kafka, codec, Topic.SENDERS, Edge(beginning=True), follow=False):
        if seen is not None and isinstance(seen.content, SenderState):
            found[seen.content.sender] = seen.content
    return tuple(found[name] for name in sorted(found))


def held_commands(
    kafka: Kafka, codec: Codec, on_read: Callable[[int], None] = _NOBODY
) -> tuple[HeldCommand, ...]:
    """What waits for a person, the longest waiting first; `on_read` hears how many records were read.

    The journal is read through: seconds where millions were sent in its days. Raises what `reading.read`
    raises.
    """
    held: dict[str, HeldCommand] = {}
    number = 0
    for seen in read(kafka, codec, Topic.JOURNAL, Edge(beginning=True), follow=False):
        if seen is None or not isinstance(seen.content, JournalEntry):
            continue
        number += 1
        on_read(number)
        entry = seen.content
        if entry.state is CommandResult.HELD:
            held[entry.command_id] = HeldCommand(entry, seen.partition)
        elif entry.command_id in held:
            del held[entry.command_id]
    if not held:
        return ()
    known = decided(kafka, codec)
    found = [
        HeldCommand(each.entry, each.partition, known.about(each.entry.command_id)) for each in held.values()
    ]
    return tuple(sorted(found, key=lambda each: (each.entry.started_at, each.entry.command_id)))
