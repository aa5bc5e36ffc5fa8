"""Whose turn it is: urgent before normal before bulk, in order of arrival, no sender waiting for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Priority
from sinks.outbound.lanes import AHEAD_MS, Lanes, Waiting
from sinks.outbound.pacing.rate import SenderRate
from tests.outbound.pacing.examples import (
    HOUR,
    ORDER,
    T0,
    go,
    go_and_end,
    lanes_at,
    numbers,
    waiting,
)


def next_called_up(lanes: Lanes, now: int) -> tuple[int, list[Waiting]]:
    """The next turn that calls something up, looking only when the lanes say so."""
    while not (called_up := lanes.release(99, now).called_up):
        next_at = lanes.next_at()
        assert next_at is not None
        now = max(now + 1, next_at)
    return now, called_up


@given(st.lists(st.sampled_from(ORDER), max_size=30))
def test_urgent_goes_before_normal_before_bulk_and_each_lane_in_its_order(arrivals: list[Priority]) -> None:
    lanes = lanes_at()
    for number, lane in enumerate(arrivals):
        lanes.add(waiting(number, lane), T0)
    wanted = sorted(range(len(arrivals)), key=lambda number: (ORDER.index(arrivals[number]), number))
    assert numbers(go(lanes, T0)) == wanted


def test_an_urgent_one_that_comes_later_overtakes_what_waits() -> None:
    lanes = lanes_at(1.0, 1.0)
    for number in range(3):
        lanes.add(waiting(number, Priority.BULK), T0)
    assert numbers(go(lanes, T0)) == [0]
    lanes.add(waiting(3, Priority.URGENT), T0 + 500)
    assert numbers(go(lanes, T0 + 1_000)) == [3]
    assert numbers(go(lanes, T0 + 2_000)) == [1]


def test_a_slow_sender_holds_up_nobody_else() -> None:
    lanes = lanes_at(1.0, 1.0)
    for number in range(5):
        lanes.add(waiting(number, sender="+1"), T0)
    lanes.add(waiting(5, sender="+2"), T0)
    assert numbers(go(lanes, T0)) == [0, 5]
    lanes.slow_down("+1", T0 + 500, 50_000)
    lanes.add(waiting(6, sender="+2"), T0 + 1_000)
    assert numbers(go(lanes, T0 + 2_000)) == [6]


def test_a_small_limit_is_shared_by_the_senders_in_turn() -> None:
    lanes = lanes_at()
    for number in range(12):
        lanes.add(waiting(number, sender=f"+{number % 3}"), T0)
    one_by_one = [each.command.sender for _ in range(12) for each in go(lanes, T0, limit=1)]
    for round_of_three in range(0, 12, 3):
        assert set(one_by_one[round_of_three : round_of_three + 3]) == {"+0", "+1", "+2"}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ORDER), st.integers(1, 12)), max_size=40),
    st.integers(1, 8),
)
def test_everything_goes_once_in_the_end_whatever_its_length_and_the_limit(
    arrivals: list[tuple[int, Priority, int]], limit: int
) -> None:
    lanes = lanes_at(2.0, 4.0)
    for number, (sender, lane, segments) in enumerate(arrivals):
        lanes.add(waiting(number, lane, sender=f"+{sender}", segments=segments), T0)
    begun: list[int] = []
    now = T0
    while lanes and now < T0 + HOUR:
        batch = go_and_end(lanes, now, limit)
        assert len(batch) <= limit
        begun += numbers(batch)
        now += 250
    assert sorted(begun) == list(range(len(arrivals)))


def test_a_long_text_is_not_starved_by_short_ones_behind_it() -> None:
    lanes = lanes_at(1.0, 2.0)
    lanes.add(waiting(0, segments=2), T0)
    lanes.add(waiting(1, segments=9), T0)
    for number in range(2, 6):
        lanes.add(waiting(number), T0)
    assert [number for s in range(4) for number in numbers(go(lanes, T0 + 1_000 * s))] == [0, 1]


def test_the_limit_leaves_the_rest_waiting_at_no_cost() -> None:
    lanes = lanes_at(1.0, 5.0)
    for number in range(5):
        lanes.add(waiting(number), T0)
    assert numbers(go(lanes, T0, limit=2)) == [0, 1]
    assert numbers(go(lanes, T0, limit=0)) == []
    assert numbers(go(lanes, T0, limit=9)) == [2, 3, 4]


def test_it_knows_what_waits_and_what_is_busy() -> None:
    lanes = lanes_at()
    lanes.add(waiting(1), T0)
    assert (len(lanes), lanes.holds("n1:1"), lanes.busy()) == (1, True, 0)
    go(lanes, T0)
    assert (len(lanes), lanes.holds("n1:1"), lanes.busy()) == (0, False, 1)
    lanes.over("n1:1", T0)
    assert lanes.busy() == 0


def test_the_next_to_a_recipient_waits_until_the_one_before_is_over() -> None:
    lanes = lanes_at()
    for number in range(3):
        lanes.add(waiting(number, recipient="+12"), T0)
    lanes.add(waiting(3, recipient="+34"), T0)
    assert numbers(go(lanes, T0)) == [0, 3]
    assert numbers(go(lanes, T0 + 1_000)) == []
    lanes.over("n0:1", T0 + 1_000)
    assert numbers(go(lanes, T0 + 1_000)) == [1]
    lanes.over("n1:1", T0 + 2_000)
    assert numbers(go(lanes, T0 + 2_000)) == [2]


def test_who_waits_for_a_recipient_keeps_its_place_before_later_ones() -> None:
    lanes = lanes_at(1.0, 1.0)
    for number, recipient in enumerate(["+12", "+12", "+34", "+56"]):
        lanes.add(waiting(number, recipient=recipient), T0)
    assert numbers(go(lanes, T0)) == [0]
    assert numbers(go(lanes, T0 + 1_000)) == [2]
    lanes.over("n0:1", T0 + 1_500)
    assert numbers(go(lanes, T0 + 2_000)) == [1]


def test_a_sender_has_no_more_calls_at_once_than_it_may() -> None:
    lanes = lanes_at(own={"+1": SenderRate(segments_per_s=100, burst=100, concurrency=2)})
    for number in range(5):
        lanes.add(waiting(number), T0)
    lanes.add(waiting(9, sender="+2"), T0)
    assert sorted(numbers(go(lanes, T0))) == [0, 1, 9]
    assert numbers(go(lanes, T0 + 10)) == []
    lanes.over("n1:1", T0 + 20)
    assert numbers(go(lanes, T0 + 20)) == [2]


def test_what_expires_leaves_at_its_time_and_spends_nothing() -> None:
    lanes = lanes_at(1.0, 1.0)
    lanes.add(waiting(0), T0)
    lanes.add(waiting(1, not_after=T0 + 300), T0)
    lanes.add(waiting(2), T0)
    go(lanes, T0)
    assert lanes.next_at() == T0 + 300
    assert numbers(lanes.release(0, T0 + 300).expired) == [1]
    assert not lanes.holds("n1:1")
    assert numbers(go(lanes, T0 + 1_000)) == [2]


def test_many_that_expire_together_leave_in_turns_of_a_bearable_size() -> None:
    lanes = lanes_at()
    for number in range(1_200):
        lanes.add(waiting(number, not_after=T0 + 10), T0)
    sizes = [len(lanes.release(0, T0 + 10).expired) for _ in range(3)]
    assert sizes == [500, 500, 200]


def test_who_is_behind_an_expired_one_goes_in_its_place() -> None:
    lanes = lanes_at()
    lanes.add(waiting(0, recipient="+12"), T0)
    go(lanes, T0)
    lanes.add(waiting(1, recipient="+12", not_after=T0 + 100), T0)
    lanes.add(waiting(2, recipient="+12"), T0)
    assert numbers(go(lanes, T0)) == []
    assert numbers(lanes.release(9, T0 + 100).expired) == [1]
    lanes.over("n0:1", T0 + 200)
    assert numbers(go(lanes, T0 + 200)) == [2]


def test_what_is_withdrawn_has_spent_nothing_and_frees_its_recipient() -> None:
    lanes = lanes_at(1.0, 1.0)
    lanes.add(waiting(0, recipient="+12"), T0)
    lanes.add(waiting(1, recipient="+12"), T0)
    [first] = lanes.release(9, T0).called_up
    lanes.withdraw(first.command.command_id, T0)
    assert numbers(go(lanes, T0)) == [1]


def test_a_command_is_called_up_a_moment_before_it_begins() -> None:
    lanes = lanes_at(10.0, 1.0, ahead_ms=AHEAD_MS)
    for number in range(3):
        lanes.add(waiting(number), T0)
    assert numbers(go(lanes, T0)) == [0]
    assert lanes.next_at() == T0 + 90 - AHEAD_MS // 2  # the bucket held a little more than its burst
    assert lanes.release(9, T0 + 90 - AHEAD_MS - 1).called_up == []
    lanes.journaled(lanes.release(9, T0 + 60).called_up)
    assert numbers(lanes.begin(T0 + 60)) == []
    begins_at = lanes.begins_at()
    assert begins_at is not None
    assert numbers(lanes.begin(begins_at - 1)) == []
    assert numbers(lanes.begin(begins_at)) == [1]


def test_no_more_are_called_up_than_begin_in_a_moment() -> None:
    lanes = lanes_at(100.0, 1.0, ahead_ms=50)
    for number in range(100):
        lanes.add(waiting(number), T0)
    called_up = lanes.release(99, T0).called_up
    assert len(called_up) == 7  # two are in the bucket, five come in 50 ms
    assert len(lanes.release(99, T0).called_up) == 0
    lanes.journaled(called_up)
    assert [len(lanes.begin(T0 + ms)) for ms in (0, 10, 20)] == [2, 1, 1]
    assert len(lanes.release(99, T0 + 20).called_up) == 2


def test_turns_are_for_all_that_may_go_soon_and_not_for_one_sender_each() -> None:
    lanes = lanes_at(10.0, 1.0, ahead_ms=50)
    for number in range(20):
        lanes.add(waiting(number, sender=f"+{number % 10}"), T0)
    for ms in range(10):  # each sender a millisecond after the one before
        go(lanes, T0 + ms, limit=1)
    assert len(next_called_up(lanes, T0 + 9)[1]) == 10


def test_in_a_slow_down_nothing_is_called_up_long_before_it_may_go() -> None:
    lanes = lanes_at(0.1, 1.0, ahead_ms=50)
    lanes.add(waiting(0), T0)
    lanes.slow_down("+1", T0, 0)
    now, called_up = next_called_up(lanes, T0)
    lanes.journaled(called_up)
    assert lanes.begin(now) == []
    begins_at = lanes.begins_at()
    assert begins_at is not None
    assert now > T0 + 10_000  # when the rate had grown once
    assert numbers(lanes.begin(begins_at)) == [0]
    assert begins_at - now <= 50


def test_what_is_not_journaled_yet_does_not_begin() -> None:
    lanes = lanes_at()
    lanes.add(waiting(0), T0)
    called_up = lanes.release(9, T0).called_up
    assert numbers(lanes.begin(T0)) == []
    lanes.journaled(called_up)
    assert numbers(lanes.begin(T0)) == [0]


def test_a_partition_that_is_given_away_takes_only_its_own_commands_along() -> None:
    lanes = lanes_at(100.0, 100.0)
    for number in range(6):
        sender = f"+{number % 2}"
        lanes.add(waiting(number, ORDER[number % 3], sender=sender, partition=number % 2), T0)
    lanes.drop(1)
    assert not any(lanes.holds(f"n{number}:1") for number in (1, 3, 5))
    assert lanes.senders() == ("+0",)
    assert sorted(numbers(go(lanes, T0))) == [0, 2, 4]
    assert len(lanes) == 0
