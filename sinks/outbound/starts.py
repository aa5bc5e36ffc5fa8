"""From the journal to the wire: each call begins at the moment its sender's rate allows, and not before.

Guarantees: of what is given in, everything begins, or is given to `Calls` with its time over, which makes no
call of it; never in silence. Leaves to others: which commands (`lanes`), and the calls themselves (`calls`),
whose ends the lanes must be told.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from schemas.records import JournalEntry
from sinks.outbound.calls import Calls
from sinks.outbound.lanes import Lanes, Waiting
from sinks.outbound.pacing.clock import SteadyClock

_LAST_CALLS_S = 1.0
"""At the end, whoever may not begin for longer than this is not waited for."""

_NEVER = float("-inf")


class _Start(NamedTuple):
    waiting: Waiting
    entry: JournalEntry
    begin_before: float


class Starts:
    """For one event loop. `begin_before` is on time.monotonic()."""

    def __init__(self, lanes: Lanes, calls: Calls, clock: SteadyClock) -> None:
        self._lanes = lanes
        self._calls = calls
        self._clock = clock
        self._starts: dict[str, _Start] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._none_left = asyncio.Event()

    def __contains__(self, command_id: str) -> bool:
        """Whether it is to begin."""
        return command_id in self._starts

    def __len__(self) -> int:
        return len(self._starts)

    def commands(self) -> frozenset[str]:
        return frozenset(self._starts)

    def add(self, committed: Sequence[tuple[Waiting, JournalEntry]], begin_before: float) -> None:
        """Begin them when they may. Their entries must be committed."""
        for waiting, entry in committed:
            self._starts[entry.command_id] = _Start(waiting, entry, begin_before)
        self._lanes.journaled([waiting for waiting, _ in committed])
        self._go()

    async def finish(self) -> None:
        """Wait until all have begun, or will not for some time: these are given up."""
        latest = time.monotonic() + _LAST_CALLS_S
        for command_id, start in self._starts.items():
            self._starts[command_id] = start._replace(begin_before=min(start.begin_before, latest))
        self._go()
        while self._starts:
            self._none_left.clear()
            await self._none_left.wait()

    def cancel(self) -> None:
        """Their commands stay open in the journal: the next owner finds them in doubt."""
        if self._timer is not None:
            self._timer.cancel()

    def _go(self) -> None:
        """Begin what may begin, give up what may not any more, and come back for the next."""
        now = self._clock.now()
        for waiting in self._lanes.begin(now):
            start = self._starts.pop(waiting.command.command_id)
            self._calls.begin(waiting, start.entry, start.begin_before)
        # Who is asked to wait longer than it may is given up now: it would only take the others' places.
        held_up = self._lanes.held_up(now)
        for each in [each for each in self._starts.values() if self._is_too_late(each, now, held_up)]:
            del self._starts[each.entry.command_id]
            self._lanes.withdraw(each.entry.command_id, now)
            self._calls.begin(each.waiting, each.entry, _NEVER)
        self._come_back(now)

    def _is_too_late(self, start: _Start, now: int, held_up: dict[str, int]) -> bool:
        left_s = start.begin_before - time.monotonic()
        return (held_up.get(start.waiting.command.sender, now) - now) / 1000 > left_s

    def _come_back(self, now: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._starts:
            self._none_left.set()
            return
        over_s = min(each.begin_before for each in self._starts.values()) - time.monotonic()
        begins_at = self._lanes.begins_at()
        wait_s = over_s if begins_at is None else min(over_s, (begins_at - now) / 1000)
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait_s) + 0.0005, self._go)
