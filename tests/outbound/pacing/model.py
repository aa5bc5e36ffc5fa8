"""Lanes as one would write them who had all the time in the world: every list searched from its beginning.

For calls that begin when they are called up, one turn at a time, and a limit that is never reached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from schemas.records import OutboundCommand
from sinks.outbound.lanes import Waiting
from sinks.outbound.pacing.bucket import HELD_UP_MS, LATE_MS
from sinks.outbound.pacing.pauses import EVERYTHING, Reach, Scope
from sinks.outbound.pacing.rate import SenderRate
from tests.outbound.pacing.examples import ORDER

DAY = 86_400_000


@dataclass
class Model:
    """`begun` is what every sender has begun: when, and how many segments. Days are those of UTC."""

    rate: SenderRate
    owned_since: int
    waiting: list[Waiting] = field(default_factory=list)
    under_way: list[Waiting] = field(default_factory=list)
    begun: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    paused: set[Scope] = field(default_factory=set)

    def expire(self, now: int) -> set[int]:
        expired = [each for each in self.waiting if each.command.not_after <= now]
        self.waiting = [each for each in self.waiting if each not in expired]
        return {each.offset for each in expired}

    def turn(self, now: int) -> dict[str, list[int]]:
        """The commands that begin, by sender."""
        went: dict[str, list[int]] = {}
        for sender in {each.command.sender for each in self.waiting}:
            while (first := self._first(sender)) is not None and self._may_go(first, now):
                self.waiting.remove(first)
                self.under_way.append(first)
                self.begun.setdefault(sender, []).append((now, first.cost))
                went.setdefault(sender, []).append(first.offset)
        return went

    def _first(self, sender: str) -> Waiting | None:
        for lane in ORDER:
            held: set[tuple[str, str]] = set()
            for each in self.waiting:
                if each.command.sender != sender or each.lane is not lane or self._never_fits(each):
                    continue
                key = each.command.tenant, each.command.recipient
                if key not in held and not self._is_held(each.command):
                    return each
                held.add(key)
        return None

    def _is_held(self, command: OutboundCommand) -> bool:
        busy = {(each.command.sender, each.command.recipient) for each in self.under_way}
        scopes = {
            EVERYTHING,
            Scope(Reach.SENDER, command.sender),
            Scope(Reach.TENANT, command.tenant),
            Scope(Reach.PROVIDER, command.provider),
        }
        return (command.sender, command.recipient) in busy or bool(scopes & self.paused)

    def _may_go(self, waiting: Waiting, now: int) -> bool:
        sender = waiting.command.sender
        at_once = sum(each.command.sender == sender for each in self.under_way)
        if self.rate.concurrency is not None and at_once >= self.rate.concurrency:
            return False
        begun = self.begun.get(sender, [])
        today = sum(cost for at, cost in begun if at // DAY == now // DAY)
        if self.rate.daily_segments is not None and today + waiting.cost > self.rate.daily_segments:
            return False
        return self._tokens(begun, now) >= min(waiting.cost, self._reach)

    def _tokens(self, begun: list[tuple[int, int]], now: int) -> Fraction:
        per_ms = Fraction(self.rate.segments_per_s) / 1000
        depth = self._reach + per_ms * LATE_MS
        tokens, at = Fraction(0), self.owned_since
        for moment, cost in begun:
            tokens = min(depth, tokens + per_ms * (moment - at)) - cost
            at = moment
        return min(depth, tokens + per_ms * (now - at))

    @property
    def _reach(self) -> Fraction:
        room = Fraction(self.rate.segments_per_s) / 1000 * LATE_MS
        held_up = Fraction(self.rate.segments_per_s) / 1000 * HELD_UP_MS
        return max(Fraction(1), Fraction(self.rate.burst) - (held_up if held_up >= 1 else 0) - room)

    def _never_fits(self, waiting: Waiting) -> bool:
        return self.rate.daily_segments is not None and waiting.cost > self.rate.daily_segments
