"""From a provider's answers to slower and paused senders, with an alarm where a person is needed.

What follows from an answer is decided in `consequence` and `streaks`; here it is given to the lanes, and told
once: a queue that waits behind a refusal costs one log line, not one a command. What needs a person is also
written down, so that it holds wherever the sender goes next. Nothing is ever resumed here.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from sinks.outbound.consequence import Halt, SlowDown, consequence, consequence_of_code
from sinks.outbound.pacing.pauses import Pause, Reach, Scope
from sinks.outbound.pacing.rate import PACIFIC
from sinks.outbound.pacing.waiting import Waiting
from sinks.outbound.provider import Lift, SendAnswer, Verdict
from sinks.outbound.streaks import Streaks

log = structlog.get_logger(__name__)

_NEWS_MS, _LATE_NEWS_MS = 60_000, 3_600_000
"""How old a callback's word on a rate, and on anything else, may be to say something of now."""

_SHOWN_DIGITS = 4


class Pacing(Protocol):
    """What the lanes must be able to do. Times in ms since the epoch."""

    def slow_down(self, sender: str, now: int, retry_after_ms: int | None = None) -> None:
        """The provider said that the sender is too fast, and perhaps how long to send nothing."""

    def pause(self, scope: Scope, reason: str, until: int | None = None) -> None:
        """Release nothing of the scope until then, or until it is resumed; instead of an earlier pause."""

    def pauses(self) -> tuple[Pause, ...]:
        """All that hold."""


class Decided(Protocol):
    """What stands written about pausing. Times in ms since the epoch."""

    def write_down(self, partition: int, scope: Scope, reason: str, now: int) -> None:
        """It is paused until a person resumes it; learnt from a command of this partition."""

    def resumed_at(self, scope: Scope) -> int:
        """When a person last said that it may go on; 0: never."""


class Brakes:
    """For one event loop. `clock` is the lanes'; `day_zone` says whose midnight ends a sender's day."""

    def __init__(
        self,
        pacing: Pacing,
        decided: Decided,
        clock: Callable[[], int],
        day_zone: Callable[[str], str | None] = lambda sender: None,
    ) -> None:
        self._pacing = pacing
        self._decided = decided
        self._clock = clock
        self._day_zone = day_zone
        self._streaks = Streaks()

    def answered(self, waiting: Waiting, answer: SendAnswer) -> None:
        """The call of this command has ended so."""
        command = waiting.command
        follows = consequence(command, answer)
        if follows.slow_down is not None:
            self._slow_down(command.sender, follows.slow_down)
        for halt in (follows.halt, self._streaks.after(command, answer, self._clock())):
            if halt is not None:
                self._pause(waiting, halt)

    def told_later(self, waiting: Waiting, code: int, verdict: Verdict) -> None:
        """A message failed with this code some time after it was accepted.

        What ends by itself has had its time since, and is left alone.
        """
        halt = consequence_of_code(waiting.command, code, verdict).halt
        if halt is not None and halt.lift is Lift.BY_HAND:
            self._pause(waiting, halt)

    def told_at(self, at: int, waiting: Waiting, code: int, verdict: Verdict) -> None:
        """The same, with the time at which it was first heard of: what is news also slows down.

        What was heard of before a person said that it is mended is no news.
        """
        command = waiting.command
        follows = consequence_of_code(command, code, verdict)
        if follows.halt is not None and at <= self._decided.resumed_at(follows.halt.scope):
            return
        age_ms = self._clock() - at
        if age_ms > _NEWS_MS:
            if age_ms <= _LATE_NEWS_MS:
                self.told_later(waiting, code, verdict)
            return
        if follows.slow_down is not None:
            # Without a wait: callbacks of what was sent before keep coming, and would never let it end.
            self._slow_down(command.sender, SlowDown(0.0))
        if follows.halt is not None:
            self._pause(waiting, follows.halt)

    def _slow_down(self, sender: str, slower: SlowDown) -> None:
        self._pacing.slow_down(sender, self._clock(), math.ceil(slower.retry_after_s * 1000))

    def _pause(self, waiting: Waiting, halt: Halt) -> None:
        now = self._clock()
        if halt.lift is Lift.NEXT_DAY:
            until: int | None = next_day(now, self._day_zone(waiting.command.sender) or PACIFIC)
        else:
            until = now + math.ceil(halt.for_s * 1000) if halt.for_s is not None else None
        held = next((each for each in self._pacing.pauses() if each.scope == halt.scope), None)
        if held is not None and (held.until is None or (until is not None and until <= held.until)):
            return  # a person's pause, or an alarm's, is not made shorter by a passing trouble
        self._pacing.pause(halt.scope, halt.reason, until)
        if until is None:
            self._decided.write_down(waiting.partition, halt.scope, halt.reason, now)
        if held is None or until is None:
            _tell(halt)


def _tell(halt: Halt) -> None:
    tell = log.error if halt.lift is Lift.BY_HAND else log.warning
    tell(
        "sending is paused",
        reach=halt.scope.reach.value,
        name=_shown(halt.scope),
        reason=halt.reason,
        lifts=halt.lift.value,
    )


def next_day(now: int, zone: str) -> int:
    """When the next day begins there (ms since the epoch)."""
    here = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    tomorrow = (here + timedelta(days=1)).date()
    return int(datetime.combine(tomorrow, datetime.min.time(), ZoneInfo(zone)).timestamp() * 1000)


def _shown(scope: Scope) -> str:
    """Senders may be phone numbers, which are not written out in a log."""
    if scope.reach is not Reach.SENDER or scope.name.startswith("MG"):
        return scope.name
    return "…" + scope.name[-_SHOWN_DIGITS:]
