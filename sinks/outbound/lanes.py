"""The commands that wait, of all senders, and which of them may go now. Pure; times in ms since the epoch.

Guarantees, for each sender: never more than its bucket gives in any stretch of time, never more than its
daily cap, never more calls at once than it may have; urgent before normal before bulk; the next to a
recipient only when the one before is over. A sender that must wait holds up no other. A command that expires
leaves at its time, whatever it waits for, and spends nothing. The work of a turn grows with what can go in
it, not with what waits nor with the number of senders.
Leaves to others: the journal, the calls and the clock (`worker`, `starts`).
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from sinks.outbound.pacing.agenda import Agenda
from sinks.outbound.pacing.pauses import EVERYTHING, Pause, Pauses, Reach, Scope
from sinks.outbound.pacing.rate import Rates
from sinks.outbound.pacing.sender import Sender
from sinks.outbound.pacing.spending import Spending
from sinks.outbound.pacing.state import SenderPace
from sinks.outbound.pacing.waiting import Waiting as Waiting

AHEAD_MS = 50
"""How long before it may go a command is called up at the earliest, and half of it at the latest if there is
room for it: the journal takes its time, most of all under load, and takes many as fast as one."""

_EXPIRED_AT_ONCE = 500
_NO_SPENDING = Spending()


class Release(NamedTuple):
    """`called_up` are to be written to the journal, and begin when `begin` says so; `expired` are over."""

    called_up: list[Waiting]
    expired: list[Waiting]


class Lanes:
    def __init__(self, rates: Rates, ahead_ms: int = AHEAD_MS) -> None:
        self._rates = rates
        self._ahead_ms = ahead_ms
        self._senders: dict[str, Sender] = {}
        self._owned: dict[int, tuple[int, Spending]] = {}
        self._pauses = Pauses()
        self._waiting: dict[str, Waiting] = {}
        self._expiries: list[tuple[int, int, Waiting]] = []
        self._looks = Agenda()
        self._begins = Agenda()
        self._number = 0
        self._latest = 0
        self._slowed: set[str] = set()
        # Commands that are called up or under way, and whose they are.
        self._busy: dict[str, Sender] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def holds(self, command_id: str) -> bool:
        """Whether it waits here."""
        return command_id in self._waiting

    def busy(self) -> int:
        """How many are called up or under way."""
        return len(self._busy)

    # -- partitions -----------------------------------------------------------------------------------------

    def take_over(self, partition: int, spending: Spending, now: int) -> None:
        """Own a partition from now on: its senders begin with an empty bucket and what they spent today."""
        self._owned[partition] = (now, spending)

    def drop(self, partition: int) -> None:
        """Forget what was read from a partition that belongs to another process now, and its senders."""
        self._owned.pop(partition, None)
        gone = [waiting for waiting in self._waiting.values() if waiting.partition == partition]
        for waiting in gone:
            self._forget(waiting, self._latest)
        for name in [name for name, sender in self._senders.items() if sender.partition == partition]:
            sender = self._senders[name]
            if not len(sender.queue) and not sender.busy():
                self._looks.take_off(sender)
                self._begins.take_off(sender)
                del self._senders[name]

    # -- in -------------------------------------------------------------------------------------------------

    def add(self, waiting: Waiting, now: int) -> None:
        """A command that is not held here yet waits from now on."""
        command = waiting.command
        self._waiting[command.command_id] = waiting
        self._number += 1
        heappush(self._expiries, (command.not_after, self._number, waiting))
        sender = self._sender(command.sender, waiting.partition, now)
        if not sender.never_fits(waiting):  # else it waits for its end only, and nobody waits behind it
            sender.queue.add(waiting)
            self._looks.look(sender, now)

    # -- out ------------------------------------------------------------------------------------------------

    def release(self, limit: int, now: int) -> Release:
        """At most `limit` commands whose turn has come, one sender after the other, and what has expired.

        Each called up must be told to `withdraw`, or to be `journaled` and at its end to be `over`. The next
        release goes on with the sender after the last one: a small limit is shared like a large one.
        """
        self._latest = now
        for scope in self._pauses.over(now):
            self.resume(scope)
        expired = self._expire(now)
        called_up: list[Waiting] = []
        if self._pauses.of_everything() is not None:
            return Release(called_up, expired)
        later: list[tuple[Sender, int]] = []
        # Also those to be looked at soon: what may be called up already goes with the others.
        soon = now + self._ahead_ms // 2
        while len(called_up) < limit and (sender := self._looks.next_due(soon)) is not None:
            if self._pauses.of_sender(sender.name) is not None:
                continue
            ready_at = sender.look_again(self._pauses.group, self._ahead_ms, now)
            if ready_at is None:
                continue
            if ready_at <= now:
                called_up.append(self._call_up(sender))
                self._looks.look(sender, ready_at)
            else:
                later.append((sender, ready_at))
        for sender, at in later:
            self._looks.look(sender, at)
        return Release(called_up, expired)

    def next_at(self) -> int | None:
        """When `release` may have something, if nothing is added and nothing ends before; None: never."""
        moments = [
            self._looks.first_at() if self._pauses.of_everything() is None else None,
            self._expiries[0][0] if self._expiries else None,
            self._pauses.ends_at(),
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def journaled(self, called_up: Iterable[Waiting]) -> None:
        """They are in the journal, and may begin at their moments."""
        for waiting in called_up:
            sender = self._busy[waiting.command.command_id]
            sender.journaled(waiting)
            self._begins.look(sender, 0)

    def begin(self, now: int) -> list[Waiting]:
        """Those whose calls must begin now. They are under way until they are `over`."""
        begun: list[Waiting] = []
        while (sender := self._begins.next_due(now)) is not None:
            begun += sender.begin(now)
            begins_at = sender.begins_at(now)
            if begins_at is not None:
                self._begins.look(sender, begins_at)
        return begun

    def begins_at(self) -> int | None:
        """When `begin` may have something; None when nothing is called up and in the journal."""
        return self._begins.first_at()

    def held_up(self, now: int) -> dict[str, int]:
        """Of each sender that was slowed down since this was last asked: when its journaled may begin."""
        slowed, self._slowed = self._slowed, set()
        known = {name: self._senders[name].begins_at(now) for name in slowed if name in self._senders}
        return {name: begins_at for name, begins_at in known.items() if begins_at is not None}

    def withdraw(self, command_id: str, now: int) -> None:
        """One that was called up and has not begun is not called after all; it has spent nothing."""
        sender = self._busy.pop(command_id, None)
        if sender is not None and sender.withdraw(command_id):
            self._begins.look(sender, now)
            self._looks.look(sender, now)

    def over(self, command_id: str, now: int) -> None:
        """Its call has ended."""
        sender = self._busy.get(command_id)
        if sender is not None and sender.over(command_id):
            del self._busy[command_id]
            self._looks.look(sender, now)

    # -- slower, and not at all -----------------------------------------------------------------------------

    def slow_down(self, sender: str, now: int, retry_after_ms: int | None = None) -> None:
        """A rate answer: half its rate, and nothing before what the answer asks for (from `now` on)."""
        known = self._senders.get(sender)
        if known is not None:
            now = max(now, self._latest)  # whoever tells it may have another clock
            known.meter = known.meter.at(now).told_to_slow_down(now, retry_after_ms or 0)
            self._slowed.add(sender)

    def pause(self, scope: Scope, reason: str, until: int | None = None) -> None:
        """Nothing of this scope is called up any more until then, or until it is resumed.

        What the journal has already is called all the same: it is no more than AHEAD_MS away.
        """
        self._pauses.begin(Pause(scope, reason, until))
        if scope.reach in (Reach.TENANT, Reach.PROVIDER):
            self._look_at_named(self._senders)  # the others' commands behind may be ready sooner

    def resume(self, scope: Scope) -> bool:
        """Whether it was paused."""
        if not self._pauses.end(scope):
            return False
        if scope.reach is Reach.SENDER:
            self._look_at_named([scope.name])
        elif scope != EVERYTHING:
            for sender in self._senders.values():
                sender.queue.resume(scope)
            self._look_at_named(self._senders)
        return True

    def pauses(self) -> tuple[Pause, ...]:
        return tuple(self._pauses)

    # -- seen from outside ----------------------------------------------------------------------------------

    def senders(self) -> tuple[str, ...]:
        """All that commands were read for since their partition was taken over."""
        return tuple(self._senders)

    def state(self, sender: str, now: int) -> SenderPace | None:
        """None when there is nothing of such a sender here."""
        known = self._senders.get(sender)
        if known is None:
            return None
        return known.state(now, self._pauses)

    # -- within ---------------------------------------------------------------------------------------------

    def _sender(self, name: str, partition: int, now: int) -> Sender:
        sender = self._senders.get(name)
        if sender is None:
            owned_since, spending = self._owned.get(partition, (now, _NO_SPENDING))
            rate = self._rates.of(name)
            sender = self._senders[name] = Sender(name, partition, rate, spending, owned_since, now)
        return sender

    def _call_up(self, sender: Sender) -> Waiting:
        waiting = sender.call_up(self._pauses.group)
        command_id = waiting.command.command_id
        del self._waiting[command_id]
        self._busy[command_id] = sender
        return waiting

    def _look_at_named(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._senders:
                self._looks.look(self._senders[name], 0)

    def _expire(self, now: int) -> list[Waiting]:
        expired: list[Waiting] = []
        while self._expiries and self._expiries[0][0] <= now and len(expired) < _EXPIRED_AT_ONCE:
            waiting = heappop(self._expiries)[2]
            if self._waiting.get(waiting.command.command_id) is waiting:
                self._forget(waiting, now)
                expired.append(waiting)
        if len(self._expiries) > 2 * len(self._waiting) + 1_000:
            self._expiries = [
                each for each in self._expiries if self._waiting.get(each[2].command.command_id) is each[2]
            ]
            heapify(self._expiries)
        return expired

    def _forget(self, waiting: Waiting, now: int) -> None:
        del self._waiting[waiting.command.command_id]
        sender = self._senders[waiting.command.sender]
        if sender.queue.remove(waiting):
            self._looks.look(sender, now)  # the one behind it may be ready sooner
