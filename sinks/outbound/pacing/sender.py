"""One sender: what waits for it, what is under way, and when the next may go. Pure; times in ms.

A command goes through four stages: it waits; it is *called up* (its turn has come or comes in a moment, it is
written to the journal); it is *under way* (its tokens were taken, the call begins); it is over. Tokens are
taken when the call begins, so the bound of the bucket holds for the calls, not for the decisions.
"""

from collections import deque
from collections.abc import Callable

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority
from sinks.outbound.pacing.day import Day
from sinks.outbound.pacing.meter import Meter
from sinks.outbound.pacing.pauses import Pause, Pauses, Reach, Scope
from sinks.outbound.pacing.queue import ORDER, SenderQueue
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.spending import Spending
from sinks.outbound.pacing.state import LanePace, SenderPace
from sinks.outbound.pacing.waiting import Waiting

_Group = Callable[[OutboundCommand], Scope | None]


class Sender:
    """For one owner of its partition, from `owned_since` on; what the journal knows was spent before."""

    def __init__(
        self, name: str, partition: int, rate: SenderRate, spending: Spending, owned_since: int, now: int
    ) -> None:
        self.name = name
        self.partition = partition
        self.rate = rate
        self.queue = SenderQueue()
        self.meter = _meter_after(rate, spending, name, owned_since)
        day = Day.around(now, rate.day_zone)
        self.day = day.plus(spending.since(name, day.start))
        self._called_up: dict[str, Waiting] = {}
        self._journaled: deque[Waiting] = deque()
        self._reserved = 0
        self._under_way: dict[str, Waiting] = {}

    def busy(self) -> int:
        """Commands called up or under way."""
        return len(self._called_up) + len(self._under_way)

    def never_fits(self, waiting: Waiting) -> bool:
        """Whether it is longer than a whole day's cap."""
        return self.rate.daily_segments is not None and waiting.cost > self.rate.daily_segments

    def look_again(self, group: _Group, ahead_ms: int, now: int) -> int | None:
        """When one may be called up: `now`, or the moment to ask again, or None: when something changes.

        From `ahead_ms` before it may go it may be called up, as the journal takes its time; by half of that
        it should be. In between it joins others, so that a turn of the journal is for more than one.
        """
        if self.rate.concurrency is not None and self.busy() >= self.rate.concurrency:
            return None
        first = self.queue.first(group)
        if first is None:
            return None
        self.day = self.day.at(now)
        if self.rate.daily_segments is not None and self.day.spent + first.cost > self.rate.daily_segments:
            return self.day.end
        self.meter = self.meter.at(now)
        ready_at = self.meter.ready_at(first.cost, now, self._reserved)
        return now if ready_at - ahead_ms <= now else self.meter.again_at(ready_at - ahead_ms // 2, now)

    def call_up(self, group: _Group) -> Waiting:
        """Take the first one out, when `look_again` has said that it may be."""
        waiting = self.queue.take_first(group)
        if waiting is None:
            raise LookupError(f"nothing of {self.name} may be called up")
        self.day = self.day.plus(waiting.cost)
        self._reserved += waiting.cost
        self._called_up[waiting.command.command_id] = waiting
        return waiting

    def journaled(self, waiting: Waiting) -> None:
        self._journaled.append(waiting)

    def begin(self, now: int) -> list[Waiting]:
        """Those called up and in the journal that may go now; their tokens are taken."""
        begun: list[Waiting] = []
        self.meter = self.meter.at(now)
        while self._journaled and self.meter.may_go(self._journaled[0].cost, now):
            waiting = self._journaled.popleft()
            command_id = waiting.command.command_id
            self.meter = self.meter.take(waiting.cost, now)
            self._reserved -= waiting.cost
            self._under_way[command_id] = self._called_up.pop(command_id)
            begun.append(waiting)
        return begun

    def begins_at(self, now: int) -> int | None:
        """When `begin` may have something; None when all that is in the journal has begun."""
        if not self._journaled:
            return None
        self.meter = self.meter.at(now)
        return self.meter.again_at(self.meter.ready_at(self._journaled[0].cost, now), now)

    def withdraw(self, command_id: str) -> bool:
        """It was called up, and is not called after all: it costs nothing. False when it is not here."""
        waiting = self._called_up.pop(command_id, None)
        if waiting is None:
            return False
        if waiting in self._journaled:
            self._journaled.remove(waiting)
        self._reserved -= waiting.cost
        self.day = self.day.plus(-waiting.cost)
        self.queue.free(waiting.command.recipient)
        return True

    def over(self, command_id: str) -> bool:
        """Its call has ended. False when none was under way."""
        waiting = self._under_way.pop(command_id, None)
        if waiting is None:
            return False
        self.queue.free(waiting.command.recipient)
        return True

    def state(self, now: int, pauses: Pauses) -> SenderPace:
        self.meter, self.day = self.meter.at(now), self.day.at(now)
        asked_to_wait = self.meter.slowdown.quiet_since
        return SenderPace(
            sender=self.name,
            rate=self.rate,
            segments_per_s=self.meter.segments_per_s(),
            tokens=self.meter.tokens(now),
            nothing_before=asked_to_wait if asked_to_wait > now else None,
            lanes=tuple(self._lane_state(lane, now) for lane in ORDER),
            in_flight=self.busy(),
            spent_today=self.day.spent,
            day_ends_at=self.day.end,
            pauses=tuple(each for each in pauses if self._concerned_by(each)),
        )

    def _lane_state(self, lane: Priority, now: int) -> LanePace:
        oldest = self.queue.oldest(lane)
        age = None if oldest is None else max(0, now - oldest.command.created_at)
        return LanePace(lane, self.queue.waiting(lane), age)

    def _concerned_by(self, pause: Pause) -> bool:
        match pause.scope.reach:
            case Reach.EVERYTHING:
                return True
            case Reach.SENDER:
                return pause.scope.name == self.name
            case _:
                return self.queue.is_held_by(pause.scope)


def _meter_after(rate: SenderRate, spending: Spending, name: str, owned_since: int) -> Meter:
    """Never more than empty: the last owner may have used the whole burst. And its debt is still a debt."""
    meter = Meter.empty(rate, owned_since)
    bucket = meter.bucket.filled()
    for spent in spending.lately(name):
        bucket = bucket.take(spent.segments, spent.at)
    return meter.owing(max(0, -bucket.available(owned_since)))
