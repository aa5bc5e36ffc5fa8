"""Calls begin at their moments; who may not in time is given up, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import cast

import pytest

from schemas.records import JournalEntry
from sinks.outbound.calls import Calls
from sinks.outbound.journal import started
from sinks.outbound.lanes import Lanes, Waiting
from sinks.outbound.pacing.clock import SteadyClock
from sinks.outbound.pacing.rate import Rates, SenderRate
from sinks.outbound.pacing.spending import Spending
from sinks.outbound.starts import Starts
from tests.outbound.pacing.examples import waiting

HOUR = 3_600_000


class Begun:
    """Instead of the calls: what was begun, when, and by when it had to be."""

    def __init__(self, count: int) -> None:
        self.calls: list[tuple[int, float, float]] = []
        self.all = asyncio.Event()
        self._count = count

    def begin(self, one: Waiting, entry: JournalEntry, begin_before: float) -> None:
        assert entry.command_id == one.command.command_id
        self.calls.append((one.offset, time.monotonic(), begin_before))
        if len(self.calls) == self._count:
            self.all.set()


class Scene:
    """One sender at its rate, with a full bucket, and commands that are in the journal."""

    def __init__(self, rate: float, count: int, window_s: float = 5.0) -> None:
        self.clock = SteadyClock()
        self.lanes = Lanes(Rates(SenderRate(segments_per_s=rate, burst=1.0)), ahead_ms=10**6)
        now = self.clock.now()
        self.lanes.take_over(0, Spending(), now - HOUR)
        for number in range(count):
            self.lanes.add(waiting(number, not_after=now + HOUR), now)
        self.begun = Begun(count)
        self.starts = Starts(self.lanes, cast(Calls, self.begun), self.clock)
        self.began = time.monotonic()
        called_up = self.lanes.release(count, now).called_up
        committed = [(each, started(each.command, now)) for each in called_up]
        self.starts.add(committed, time.monotonic() + window_s)

    @property
    def order(self) -> list[int]:
        return [number for number, _, _ in self.begun.calls]


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 10))


def test_each_begins_at_its_moment_and_not_before() -> None:
    async def test() -> None:
        scene = Scene(rate=20.0, count=6)
        assert len(scene.starts) == 5
        assert "n5:1" in scene.starts
        assert "n0:1" not in scene.starts
        await scene.starts.finish()
        assert scene.order == list(range(6))
        moments = [moment - scene.began for _, moment, _ in scene.begun.calls]
        for number, moment in enumerate(moments):
            assert moment >= (number - 1.2) / 20.0  # the bucket holds 1.2
        assert scene.starts.commands() == frozenset()

    run(test())


def test_who_may_not_begin_in_time_is_handed_over_with_its_time_over() -> None:
    async def test() -> None:
        scene = Scene(rate=0.01, count=2, window_s=0.05)
        await scene.starts.finish()
        assert scene.order == [0, 1]
        _, moment, begin_before = scene.begun.calls[1]
        assert moment >= scene.began + 0.05
        assert begin_before < scene.began
        assert scene.lanes.busy() == 1  # the first, whose call is not over

    run(test())


def test_the_end_does_not_wait_long_for_who_may_not_begin() -> None:
    async def test() -> None:
        scene = Scene(rate=0.01, count=3, window_s=60.0)
        await scene.starts.finish()
        assert scene.order == [0, 1, 2]
        assert time.monotonic() - scene.began < 5

    run(test())


def test_after_a_slow_down_nothing_begins_until_the_time_asked_for() -> None:
    async def test() -> None:
        scene = Scene(rate=50.0, count=2)
        scene.lanes.slow_down("+1", scene.clock.now(), 200)
        asked = time.monotonic()
        await scene.starts.finish()
        assert scene.order == [0, 1]
        assert scene.begun.calls[1][1] - asked >= 0.199

    run(test())


def test_who_is_asked_to_wait_longer_than_it_may_is_given_up_at_once() -> None:
    async def test() -> None:
        scene = Scene(rate=50.0, count=4, window_s=50.0)
        scene.lanes.slow_down("+1", scene.clock.now(), 60_000)
        await scene.begun.all.wait()
        assert scene.order == [0, 1, 2, 3]
        assert all(begin_before < scene.began for _, _, begin_before in scene.begun.calls[1:])
        assert scene.lanes.busy() == 1

    run(test())


@pytest.mark.parametrize("count", [0, 1])
def test_with_nothing_to_begin_the_end_is_there_at_once(count: int) -> None:
    async def test() -> None:
        scene = Scene(rate=50.0, count=count)
        await scene.starts.finish()
        assert len(scene.starts) == 0

    run(test())
