"""The token bucket: exact over every stretch of time, patient with long texts, obedient to a pause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.pace import Bucket

RATES = st.floats(0.1, 500, allow_nan=False)
BURSTS = st.floats(1, 50, allow_nan=False)
# Seconds between two looks at the bucket, and the segments of the text that waits then.
DEMANDS = st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(1, 60)), min_size=1, max_size=60)


def taken(bucket: Bucket, demands: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """When each text went that could go at the moment it was tried, and its segments."""
    now, went = bucket.at, []
    for pause, cost in demands:
        now += pause
        if bucket.ready_at(cost, now) <= now:
            bucket = bucket.take(cost, now)
            went.append((now, cost))
    return went


@given(RATES, BURSTS, DEMANDS)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(
    rate: float, burst: float, demands: list[tuple[float, int]]
) -> None:
    demands = [(pause, min(cost, int(burst))) for pause, cost in demands]
    went = taken(Bucket.full(rate, burst, 100.0), demands)
    for first in range(len(went)):
        segments = 0
        for moment, cost in went[first:]:
            segments += cost
            assert segments <= burst + rate * (moment - went[first][0]) + 1e-6


@given(RATES, BURSTS, DEMANDS)
def test_long_texts_exceed_the_bound_by_no_more_than_the_last_ones_excess(
    rate: float, burst: float, demands: list[tuple[float, int]]
) -> None:
    went = taken(Bucket.full(rate, burst, 100.0), demands)
    for first in range(len(went)):
        segments = 0
        for moment, cost in went[first:]:
            segments += cost
            excess = max(0.0, cost - burst)
            assert segments <= burst + rate * (moment - went[first][0]) + excess + 1e-6


@given(RATES, BURSTS, DEMANDS, st.integers(1, 60))
def test_at_the_moment_it_names_a_text_may_go_and_not_before(
    rate: float, burst: float, demands: list[tuple[float, int]], cost: int
) -> None:
    bucket, now = Bucket.full(rate, burst, 100.0), 100.0
    for pause, spent in demands:
        now += pause
        if bucket.ready_at(spent, now) <= now:
            bucket = bucket.take(spent, now)
    moment = bucket.ready_at(cost, now)
    later = moment + 1e-6
    assert bucket.ready_at(cost, later) <= later
    if moment > now + 1e-6:
        sooner = now + (moment - now) * 0.99
        assert bucket.ready_at(cost, sooner) > sooner


def test_a_text_longer_than_the_burst_goes_once_the_bucket_is_full() -> None:
    bucket = Bucket.full(2.0, 4.0, 0.0).take(1, 0.0)
    assert bucket.ready_at(10, 0.0) == pytest.approx(0.5)
    assert bucket.ready_at(10, 0.5) == 0.5


def test_a_text_longer_than_the_burst_is_paid_back_before_the_next_goes() -> None:
    bucket = Bucket.full(2.0, 4.0, 0.0).take(10, 0.0)
    assert bucket.ready_at(1, 0.0) == pytest.approx(3.5)


@given(RATES, BURSTS, DEMANDS, st.floats(0.001, 30), st.integers(1, 60))
def test_during_a_pause_nothing_goes_and_after_it_nothing_has_been_saved_up(
    rate: float, burst: float, demands: list[tuple[float, int]], pause_s: float, cost: int
) -> None:
    bucket, now = Bucket.full(rate, burst, 100.0), 100.0
    for wait, spent in demands:
        now += wait
        if bucket.ready_at(spent, now) <= now:
            bucket = bucket.take(spent, now)
    end = now + pause_s
    paused = bucket.pause_until(end)
    for moment in (now, now + pause_s / 2, end):
        assert paused.ready_at(cost, moment) > end
    assert paused.available(end) <= 0


def test_a_pause_does_not_make_an_old_debt_older() -> None:
    in_debt = Bucket.full(1.0, 1.0, 0.0).take(5, 0.0)
    assert in_debt.ready_at(1, 0.0) == pytest.approx(5.0)
    assert in_debt.pause_until(10.0).ready_at(1, 2.0) == pytest.approx(11.0)


@given(RATES, BURSTS, st.floats(0.01, 50))
def test_a_clock_that_steps_back_gives_nothing_away(rate: float, burst: float, back: float) -> None:
    empty = Bucket.full(rate, burst, 100.0).take(int(burst), 100.0)
    assert empty.available(100.0 - back) == empty.available(100.0)
    spent = empty.take(1, 100.0 - back)
    assert spent.at == 100.0
