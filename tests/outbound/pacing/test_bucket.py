"""The token bucket: exact over every stretch of time, patient with long texts and late looks, obedient."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.pacing.bucket import HELD_UP_MS, LATE_MS, UNIT, Bucket

RATES = st.floats(0.1, 500, allow_nan=False)
BURSTS = st.floats(1, 50, allow_nan=False)
# Milliseconds between two looks at the bucket, and the segments of the text that waits then.
DEMANDS = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 60)), min_size=1, max_size=60)
T0 = 1_000_000


def full(rate: float, burst: float) -> Bucket:
    bucket = Bucket.empty(rate, burst, T0)
    return msgspec.structs.replace(bucket, tokens=bucket.depth)


def taken(bucket: Bucket, demands: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """When each text went that could go at the moment it was tried, and its segments."""
    now, went = bucket.at, []
    for pause, cost in demands:
        now += pause
        if bucket.ready_at(cost, now) <= now:
            bucket = bucket.take(cost, now)
            went.append((now, cost))
    return went


def most_over(went: list[tuple[int, int]], rate: float) -> float:
    """By how many segments any stretch of time has seen more than the rate alone allows."""
    worst = 0.0
    for first in range(len(went)):
        segments = 0
        for moment, cost in went[first:]:
            segments += cost
            worst = max(worst, segments - rate * (moment - went[first][0]) / 1000)
    return worst


@given(RATES, BURSTS, DEMANDS)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(
    rate: float, burst: float, demands: list[tuple[int, int]]
) -> None:
    room = rate * LATE_MS / 1000
    reach = full(rate, burst).reach // UNIT
    demands = [(pause, min(cost, reach)) for pause, cost in demands]
    assert most_over(taken(full(rate, burst), demands), rate) <= max(burst, 1 + room) + 1e-6


@given(st.floats(10, 500), st.floats(0, 50), DEMANDS, st.lists(st.integers(0, HELD_UP_MS), min_size=60))
def test_calls_that_are_held_up_on_their_way_do_not_arrive_too_close_together_either(
    rate: float, more: float, demands: list[tuple[int, int]], held_up: list[int]
) -> None:
    burst = 2 + rate * (LATE_MS + HELD_UP_MS) / 1000 + more
    demands = [(pause % 50, min(cost, full(rate, burst).reach // UNIT)) for pause, cost in demands]
    went = taken(full(rate, burst), demands)
    came = sorted((at + later, cost) for (at, cost), later in zip(went, held_up, strict=False))
    assert most_over(came, rate) <= burst + 1e-6


@given(RATES, BURSTS, DEMANDS)
def test_long_texts_exceed_the_bound_by_no_more_than_the_last_ones_excess(
    rate: float, burst: float, demands: list[tuple[int, int]]
) -> None:
    went = taken(full(rate, burst), demands)
    room = rate * LATE_MS / 1000
    depth, reach = max(burst, 1 + room), full(rate, burst).reach / UNIT
    for first in range(len(went)):
        segments = 0
        for moment, cost in went[first:]:
            segments += cost
            bound = depth + rate * (moment - went[first][0]) / 1000 + max(0.0, cost - reach)
            assert segments <= bound + 1e-6


@given(RATES, BURSTS, DEMANDS, st.integers(1, 60), st.integers(0, 60))
def test_at_the_moment_it_names_a_text_may_go_and_not_before(
    rate: float, burst: float, demands: list[tuple[int, int]], cost: int, before: int
) -> None:
    bucket, now = full(rate, burst), T0
    for pause, spent in demands:
        now += pause
        if bucket.ready_at(spent, now) <= now:
            bucket = bucket.take(spent, now)
    moment = bucket.ready_at(cost, now)
    assert bucket.ready_at(cost, moment) == moment
    if moment > now:
        assert bucket.ready_at(cost, moment - 1) == moment
    assert bucket.ready_at(cost, now, before) >= moment


@pytest.mark.parametrize("rate", [1, 10, 100, 400])
@pytest.mark.parametrize("every_ms", [1, 5, 7, 10])
def test_the_rate_is_kept_to_one_percent_however_late_each_look(rate: int, every_ms: int) -> None:
    bucket, went = full(rate, 1.0), list[int]()
    for now in range(T0, T0 + 60_000, every_ms):
        while bucket.ready_at(1, now) <= now:
            bucket = bucket.take(1, now)
            went.append(now)
    for start in range(T0 + 1_000, T0 + 50_000, 500):
        seen = sum(start <= moment < start + 10_000 for moment in went)
        assert abs(seen - 10 * rate) <= max(1, 0.01 * 10 * rate)


@given(RATES, BURSTS, st.lists(st.integers(0, 50), min_size=1, max_size=50))
def test_looking_often_gives_what_looking_once_gives(rate: float, burst: float, looks: list[int]) -> None:
    often = once = Bucket.empty(rate, burst, T0)
    now = T0
    for pause in looks:
        now += pause
        often = often.at_gain(often.gain, now)
    assert often.available(now) == once.available(now)


def test_an_empty_one_lets_nothing_go_before_its_rate_has_brought_a_segment() -> None:
    assert Bucket.empty(2.0, 10.0, T0).ready_at(1, T0) == T0 + 500


def test_a_text_longer_than_the_burst_goes_once_there_is_that_much() -> None:
    assert Bucket.empty(2.0, 4.0, T0).ready_at(10, T0) == T0 + 1_990
    assert Bucket.empty(2.0, 4.0, T0).ready_at(10, T0 + 1_990) == T0 + 1_990


def test_a_text_longer_than_the_burst_is_paid_back_before_the_next_goes() -> None:
    bucket = Bucket.empty(2.0, 4.0, T0).take(10, T0 + 2_000)
    assert bucket.ready_at(1, T0 + 2_000) == T0 + 2_000 + 3_500


@given(RATES, BURSTS, DEMANDS, st.integers(1, 30_000), st.integers(1, 60))
def test_until_the_moment_asked_for_nothing_goes_and_nothing_is_saved_up_for_it(
    rate: float, burst: float, demands: list[tuple[int, int]], wait_ms: int, cost: int
) -> None:
    bucket, now = full(rate, burst), T0
    for pause, spent in demands:
        now += pause
        if bucket.ready_at(spent, now) <= now:
            bucket = bucket.take(spent, now)
    end = now + wait_ms
    emptied = bucket.empty_until(end)
    for moment in (now, now + wait_ms // 2, end):
        assert emptied.ready_at(cost, moment) > end
    assert emptied.available(end) <= 0


def test_a_wait_does_not_make_an_old_debt_older() -> None:
    in_debt = Bucket.empty(1.0, 1.0, T0).take(4, T0)
    assert in_debt.ready_at(1, T0) == T0 + 5_000
    assert in_debt.empty_until(T0 + 10_000).ready_at(1, T0 + 2_000) == T0 + 11_000


@given(RATES, BURSTS, st.integers(1, 50_000))
def test_a_clock_that_steps_back_gives_nothing_away(rate: float, burst: float, back: int) -> None:
    spent = full(rate, burst).take(int(burst), T0)
    assert spent.available(T0 - back) == spent.available(T0)
    assert spent.take(1, T0 - back).at == T0
