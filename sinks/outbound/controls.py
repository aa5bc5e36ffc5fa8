"""What has been decided about sending: who is paused, and what becomes of held commands.

People decide, and the sink itself (`SINK`), when the provider's answers say that a person has to mend
something first: such a pause holds like any other until somebody resumes it.

Guarantees: a pause holds for as long as the topic says so, whoever owns the sender: it is read whole with a
partition, before the partition's first command, and followed from there. A decision about a held command is
carried out once: it closes the command in the journal, in one transaction with the offset it was read at, and
a closed command has nothing left to decide. Leaves to others: writing people's decisions (`notifystream
senders`, `notifystream held`), when the sink pauses (`brakes`), and what a pause does (`pacing`).

`outbound.controls` is keyed by what is decided about and compacted, so the last word on each is kept for good
and a takeover reads little. What is decided about a sender or a command stands on the partition of the
sender's commands, what is decided about all senders on every partition.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import structlog

from schemas.identity import event_id
from schemas.records import JournalEntry, OutboundControl
from schemas.vocabulary import CommandResult, ControlAction, ControlScope
from sinks.outbound.pacing.pauses import Reach, Scope

log = structlog.get_logger(__name__)

SINK = "notifystream outbound"
"""Who has decided, when it was no person."""


class Pausing(Protocol):
    """What the lanes must be able to do. Times in ms since the epoch."""

    def pause(self, scope: Scope, reason: str, until: int | None) -> None: ...

    def resume(self, scope: Scope) -> object: ...


class Closing(NamedTuple):
    """How a held command ends by a person's decision."""

    entry: JournalEntry
    result: CommandResult
    detail: str


class Numbered(NamedTuple):
    """A decision and its offset."""

    offset: int
    control: OutboundControl


class Controls:
    """The decisions on the partitions owned now. `now` is in ms since the epoch."""

    def __init__(self, lanes: Pausing) -> None:
        self._lanes = lanes
        self._last: dict[int, dict[Scope, Numbered]] = {}
        self._in_force: dict[Scope, OutboundControl] = {}

    def take_over(self, partition: int, written: Iterable[Numbered], now: int) -> None:
        """Own a partition; `written` is all that its topic holds, in its order."""
        last = self._last.setdefault(partition, {})
        for each in written:
            scope = scope_of(each.control)
            if scope is not None:
                last[scope] = each
        self._follow(now)

    def let_go(self, partition: int, now: int) -> None:
        self._last.pop(partition, None)
        self._follow(now)

    def take(self, partition: int, offset: int, control: OutboundControl, now: int) -> None:
        """A pause or the end of one was read. One that is older than what is known changes nothing."""
        scope = scope_of(control)
        if scope is None:
            return
        known = self._last.setdefault(partition, {})
        if scope in known and known[scope].offset >= offset:
            return
        known[scope] = Numbered(offset, control)
        self._follow(now)
        if scope not in self._in_force:
            self._lanes.resume(scope)  # also what no person had paused
        log.info(
            "a decision was taken in",
            action=control.action,
            scope=control.scope,
            target=control.target,
            by=control.by,
            control_id=control.control_id,
        )

    def resumed_at(self, scope: Scope) -> int:
        """When it was last resumed, as far as the partitions owned now know; 0: not so."""
        known = (decisions[scope].control for decisions in self._last.values() if scope in decisions)
        return max((each.at for each in known if each.action is ControlAction.RESUME), default=0)

    def paused_senders(self) -> frozenset[str]:
        return frozenset(scope.name for scope in self._in_force if scope.reach is Reach.SENDER)

    def _follow(self, now: int) -> None:
        """Pause what is paused on any partition, and end what is paused on none any more."""
        wanted = _pauses(self._last, now)
        for scope in self._in_force.keys() - wanted.keys():
            self._lanes.resume(scope)
        for scope, control in wanted.items():
            if self._in_force.get(scope) != control:
                self._lanes.pause(scope, f"{control.reason} ({control.by})", control.until)
        self._in_force = wanted


def scope_of(control: OutboundControl) -> Scope | None:
    """Whom a pause or its end concerns; None for a decision about one command."""
    if control.scope is ControlScope.COMMAND:
        return None
    return Scope(Reach(control.scope), "" if control.scope is ControlScope.EVERYTHING else control.target)


def key_of(control: OutboundControl) -> str:
    """What the decision is about: the next one about the same takes its place."""
    return f"{control.scope}:{control.target}"


def alarm(scope: Scope, reason: str, at: int) -> OutboundControl:
    """The sink's own decision to send nothing of this scope until somebody resumes it."""
    return OutboundControl(
        control_id=event_id("control", ControlAction.PAUSE, scope.reach, scope.name, SINK, str(at)),
        action=ControlAction.PAUSE,
        scope=ControlScope(scope.reach),
        target=scope.name,
        by=SINK,
        reason=reason,
        at=at,
    )


def closing(control: OutboundControl, entry: JournalEntry | None) -> Closing | None:
    """What a decision about a command does, given the command's open entry, if it has one.

    None: there is nothing to decide, as the command is not held, or not any more.
    """
    if entry is None or entry.state is not CommandResult.HELD:
        return None
    match control.action:
        case ControlAction.RELEASE:
            return Closing(entry, CommandResult.RELEASED, f"released by {control.by}: {control.reason}")
        case ControlAction.DROP:
            return Closing(entry, CommandResult.DROPPED, f"dropped by {control.by}: {control.reason}")
        case ControlAction.PAUSE | ControlAction.RESUME:
            return None


def _pauses(last: Mapping[int, Mapping[Scope, Numbered]], now: int) -> dict[Scope, OutboundControl]:
    """Where partitions differ, until a decision has reached all of them, the longest pause counts."""
    found: dict[Scope, OutboundControl] = {}
    for decisions in last.values():
        for scope, (_, control) in decisions.items():
            over = control.until is not None and control.until <= now
            if control.action is not ControlAction.PAUSE or over:
                continue
            if scope not in found or _strength(control) > _strength(found[scope]):
                found[scope] = control
    return found


def _strength(pause: OutboundControl) -> tuple[float, str]:
    return (float("inf") if pause.until is None else pause.until, pause.control_id)
