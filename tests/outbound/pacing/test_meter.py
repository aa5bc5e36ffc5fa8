"""Slower when told so, by halves; faster again when it is quiet, by tenths; never before it was asked to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.pacing.meter import Meter
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.slowdown import QUIET_MS, ROUND_MS, WHOLE, Slowdown

T0 = 1_000_000
RATE = SenderRate(segments_per_s=160.0, burst=10.0)


def shares(slowdown: Slowdown, since: int, steps: int) -> list[float]:
    return [slowdown.share_at(since + step * QUIET_MS) / WHOLE for step in range(steps)]


def test_each_round_of_rate_answers_halves_the_rate_down_to_a_sixteenth() -> None:
    slowdown, now, seen = Slowdown(), T0, []
    for _ in range(6):
        slowdown = slowdown.told(now, now)
        seen.append(slowdown.share_at(now) / WHOLE)
        now += ROUND_MS
    assert seen == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16, 1 / 16]


@given(st.lists(st.integers(0, ROUND_MS - 1), min_size=1, max_size=20))
def test_the_answers_of_one_round_halve_it_once(moments: list[int]) -> None:
    slowdown = Slowdown().told(T0, T0)
    for moment in sorted(moments):
        slowdown = slowdown.told(T0 + moment, T0 + moment)
    assert slowdown.share_at(T0 + ROUND_MS) == WHOLE // 2


def test_every_quiet_ten_seconds_give_back_a_tenth_of_the_set_rate() -> None:
    slowdown = Slowdown().told(T0, T0)
    assert shares(slowdown, T0, 8) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0])
    assert slowdown.share_at(T0 + QUIET_MS - 1) == WHOLE // 2


def test_the_time_it_was_asked_to_wait_is_no_quiet_time() -> None:
    slowdown = Slowdown().told(T0, T0 + 60_000)
    assert slowdown.share_at(T0 + 60_000 + QUIET_MS - 1) == WHOLE // 2
    assert slowdown.next_change(T0) == T0 + 60_000 + QUIET_MS


@given(
    st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 20_000)), max_size=20), st.integers(0, 10**6)
)
def test_the_share_stays_within_its_bounds_grows_only_in_silence_and_names_its_changes(
    answers: list[tuple[int, int]], later: int
) -> None:
    slowdown, now = Slowdown(), T0
    for pause, wait in answers:
        now += pause
        before = slowdown.share_at(now)
        slowdown = slowdown.told(now, now + wait)
        assert WHOLE // 16 <= slowdown.share_at(now) <= before
    change = slowdown.next_change(now)
    if change is None:
        assert slowdown.share_at(now + later) == WHOLE
    else:
        assert slowdown.share_at(change - 1) == slowdown.share_at(now) < slowdown.share_at(change)


@given(st.integers(0, 100_000), st.lists(st.integers(1, 30_000), max_size=10))
def test_nothing_goes_before_the_end_of_a_retry_after_whatever_is_told_meanwhile(
    wait: int, later: list[int]
) -> None:
    meter = Meter.empty(RATE, T0).at(T0 + 5_000).told_to_slow_down(T0 + 5_000, wait)
    now = T0 + 5_000
    for pause in later:
        now += pause
        if now >= T0 + 5_000 + wait:
            break
        meter = meter.at(now)
        assert not meter.may_go(1, now)
        meter = meter.told_to_slow_down(now, 0)
        assert not meter.may_go(1, T0 + 5_000 + wait)


def went(meter: Meter, start: int, end: int, every_ms: int = 5) -> int:
    count = 0
    for now in range(start, end, every_ms):
        meter = meter.at(now)
        while meter.may_go(1, now):
            meter = meter.take(1, now)
            count += 1
    return count


def test_the_bucket_fills_at_the_share_of_each_time() -> None:
    meter = Meter.empty(RATE, T0).told_to_slow_down(T0, 0)
    halves_then_tenths = 10 * 160 * (0.5 + 0.6 + 0.7)
    assert went(meter, T0, T0 + 30_000) == pytest.approx(halves_then_tenths, rel=0.01)


@given(st.lists(st.integers(1, 15_000), min_size=1, max_size=30))
def test_looking_seldom_at_a_slowed_meter_gives_what_looking_often_gives(pauses: list[int]) -> None:
    seldom = often = Meter.empty(SenderRate(segments_per_s=1.0, burst=50.0), T0).told_to_slow_down(T0, 0)
    now = T0
    for pause in pauses:
        now += pause
        often = often.at(now)
    assert seldom.at(now).tokens(now) == pytest.approx(often.tokens(now))
    assert seldom.at(now).segments_per_s() == often.segments_per_s()


@given(st.integers(0, 60_000), st.integers(1, 12))
def test_following_the_moments_it_names_leads_to_the_moment_a_text_may_go(start: int, cost: int) -> None:
    meter = Meter.empty(SenderRate(segments_per_s=0.5, burst=4.0), T0).told_to_slow_down(T0, start)
    now, looks = T0, 0
    while not meter.may_go(cost, now):
        moment = meter.again_at(meter.ready_at(cost, now), now)
        assert moment > now
        now, looks = moment, looks + 1
        meter = meter.at(now)
        assert looks < 20
