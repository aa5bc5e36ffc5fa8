"""What a series of answers shows that a single one does not: a provider that is down, a sender nobody hears.

Guarantees: one answer that failed stops nothing but a provider that cannot be reached at all; a pause found
here grows with each that follows it, ends by itself where the cause may, and is forgotten with the first
answer that shows the opposite. Pure but for its own memory: time is passed in (ms, any steady clock).
Leaves to others: the pauses themselves.
"""

from dataclasses import dataclass, field

from schemas.records import OutboundCommand
from sinks.outbound.consequence import Halt
from sinks.outbound.pacing.pauses import Reach, Scope
from sinks.outbound.provider import Accepted, Ambiguous, Concern, Lift, NotSent, Rejected, SendAnswer

DOUBTS_IN_A_ROW = 8
"""So many calls whose fate nobody knows, one after the other, and the rest would only share it. One in ten
ends so on a bad day: eight of those in a row are no accident."""

RECIPIENTS_IN_A_ROW = 3
"""So many recipients that a sender cannot reach, and it is the sender."""

_SHORTEST_S, _LONGEST_S = 1.0, 60.0
_TURNED_AWAY = frozenset({401, 403, 404, 407})
"""Answers without a code of the provider's: something before it turns us away, and will do so again."""


@dataclass(slots=True)
class _Failing:
    doubts: int = 0
    pauses: int = 0
    until: int = 0


@dataclass(slots=True)
class Streaks:
    """For one process: each sees its own answers."""

    _providers: dict[str, _Failing] = field(default_factory=dict)
    _unreached: dict[str, set[str]] = field(default_factory=dict)

    def after(self, command: OutboundCommand, answer: SendAnswer, now: int) -> Halt | None:
        """Take an answer in; the pause that follows from it and those before it."""
        match answer:
            case NotSent(unreachable=True):
                return self._failed(command, "cannot be reached", DOUBTS_IN_A_ROW, now)
            case Ambiguous(http_status=status) if status in _TURNED_AWAY:
                return self._failed(command, f"answers HTTP {status} without a code", DOUBTS_IN_A_ROW, now)
            case Ambiguous():
                return self._failed(command, "leaves calls in doubt", 1, now)
            case NotSent(throttled=False):
                return None
        self._providers.pop(command.provider, None)
        match answer:
            case Accepted():
                self._unreached.pop(command.sender, None)
            case Rejected(code, verdict) if verdict.concern is Concern.DESTINATION:
                return self._not_heard(command, code)
        return None

    def _failed(self, command: OutboundCommand, what: str, weight: int, now: int) -> Halt | None:
        failing = self._providers.setdefault(command.provider, _Failing())
        if now < failing.until:
            return None  # one of those that were under way when the pause began
        failing.doubts += weight
        if failing.doubts < DOUBTS_IN_A_ROW:
            return None
        for_s = min(_LONGEST_S, _SHORTEST_S * 2**failing.pauses)
        failing.pauses = min(failing.pauses + 1, 10)
        failing.until = now + int(for_s * 1000)
        scope = Scope(Reach.PROVIDER, command.provider)
        return Halt(scope, f"{command.provider} {what}", Lift.SOON, for_s)

    def _not_heard(self, command: OutboundCommand, code: int | None) -> Halt | None:
        recipients = self._unreached.setdefault(command.sender, set())
        recipients.add(command.recipient)
        if len(recipients) < RECIPIENTS_IN_A_ROW:
            return None
        del self._unreached[command.sender]
        reason = f"{command.provider} answers {code} for one recipient after the other"
        return Halt(Scope(Reach.SENDER, command.sender), reason, Lift.BY_HAND)
