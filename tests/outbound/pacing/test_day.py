"""A carrier's day: from midnight to midnight where the carrier is, however long that is."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.pacing.day import Day
from sinks.outbound.pacing.rate import PACIFIC, SenderRate
from tests.outbound.pacing.examples import HOUR, T0, go_and_end, lanes_at, numbers, waiting

ZONES = st.sampled_from([PACIFIC, "UTC", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe"])


def ms(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=ZoneInfo(PACIFIC)).timestamp() * 1000)


@given(st.integers(1_500_000_000, 2_000_000_000), ZONES)
def test_the_days_of_a_zone_follow_each_other_without_gap_or_overlap(second: int, zone: str) -> None:
    day = Day.around(second * 1000, zone)
    assert day.start <= second * 1000 < day.end
    assert Day.around(day.end, zone).start == day.end
    assert Day.around(day.end - 1, zone) == day
    assert 23 * HOUR <= day.end - day.start <= 25 * HOUR


def test_a_day_begins_at_midnight_in_california_and_has_an_hour_less_in_march() -> None:
    day = Day.around(ms(2026, 3, 8, 12), PACIFIC)
    assert (day.start, day.end) == (ms(2026, 3, 8), ms(2026, 3, 9))
    assert day.end - day.start == 23 * HOUR


def test_the_next_day_begins_untouched() -> None:
    day = Day.around(T0, PACIFIC).plus(7)
    assert day.at(day.end - 1).spent == 7
    assert day.at(day.end).spent == 0


def test_what_is_over_the_cap_waits_until_midnight() -> None:
    midnight = Day.around(T0, PACIFIC).end
    lanes = lanes_at(own={"+1": SenderRate(segments_per_s=100, burst=100, daily_segments=5)})
    for number, segments in enumerate([2, 2, 2, 1]):
        lanes.add(waiting(number, segments=segments), T0)
    assert numbers(go_and_end(lanes, T0)) == [0, 1]
    assert numbers(go_and_end(lanes, T0)) == []
    assert lanes.next_at() == midnight
    assert numbers(go_and_end(lanes, midnight - 1)) == []
    assert numbers(go_and_end(lanes, midnight)) == [2, 3]


def test_what_is_over_the_cap_expires_in_its_time() -> None:
    lanes = lanes_at(own={"+1": SenderRate(segments_per_s=100, burst=100, daily_segments=1)})
    lanes.add(waiting(0), T0)
    lanes.add(waiting(1, not_after=T0 + 60_000), T0)
    go_and_end(lanes, T0)
    assert numbers(lanes.release(9, T0 + 60_000).expired) == [1]


def test_a_text_longer_than_a_whole_days_cap_holds_up_nobody_and_expires() -> None:
    lanes = lanes_at(own={"+1": SenderRate(segments_per_s=100, burst=100, daily_segments=3)})
    lanes.add(waiting(0, segments=4, not_after=T0 + HOUR), T0)
    lanes.add(waiting(1, segments=3), T0)
    assert numbers(go_and_end(lanes, T0)) == [1]
    assert numbers(lanes.release(9, T0 + HOUR).expired) == [0]
    assert len(lanes) == 0


def test_what_is_withdrawn_does_not_count() -> None:
    lanes = lanes_at(own={"+1": SenderRate(segments_per_s=100, burst=100, daily_segments=3)})
    lanes.add(waiting(0, segments=3), T0)
    [called_up] = lanes.release(9, T0).called_up
    lanes.withdraw(called_up.command.command_id, T0)
    lanes.add(waiting(1, segments=3), T0)
    assert numbers(go_and_end(lanes, T0)) == [1]
