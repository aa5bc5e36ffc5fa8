"""Seconds as long as others, and the time of day all the same."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.pacing.clock import SteadyClock
from tests.outbound.pacing.examples import HOUR, T0

NS = 1_000_000


@dataclass
class Clocks:
    wall: int = T0
    steady: int = 5_000

    def pass_ms(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall * NS, lambda: self.steady * NS)


def test_it_shows_the_walls_time_and_passes_as_steadily_as_the_other() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    assert clock.now() == T0
    clocks.pass_ms(1_234)
    clocks.wall += 900  # less than a second apart is nothing
    assert clock.now() == T0 + 1_234


def test_a_wall_that_is_set_forward_is_followed_at_once() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += HOUR
    assert clock.now() == T0 + HOUR


def test_behind_a_wall_that_is_set_back_it_goes_on_a_little_slower_until_they_meet() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall -= 60_000
    assert clock.now() == T0
    clocks.pass_ms(10_000)
    assert clock.now() == T0 + 9_950
    for _ in range(5_000):
        clocks.pass_ms(10_000)
        clock.now()
    assert abs(clock.now() - clocks.wall) <= 1_000


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-HOUR, HOUR)), max_size=50))
def test_it_never_goes_back(changes: list[tuple[int, int]]) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    last = clock.now()
    for passed, step in changes:
        clocks.pass_ms(passed)
        clocks.wall += step
        now = clock.now()
        assert now >= last
        last = now
