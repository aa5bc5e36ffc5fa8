"""Whose turn it is: urgent before normal before bulk, in order of arrival, no sender waiting for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import Topic
from schemas.vocabulary import Priority
from sinks.outbound.lanes import Lanes, Waiting
from tests.outbound.examples import command

ORDER = [Priority.URGENT, Priority.NORMAL, Priority.BULK]


def waiting(
    number: int,
    lane: Priority = Priority.NORMAL,
    *,
    sender: str = "+1",
    segments: int = 1,
    partition: int = 0,
) -> Waiting:
    return Waiting(
        command(notification_id=f"n{number}", sender=sender, segments=segments),
        lane,
        Topic.commands(lane),
        partition,
        number,
    )


def numbers(released: list[Waiting]) -> list[int]:
    return [each.offset for each in released]


@given(st.lists(st.sampled_from(ORDER), max_size=30))
def test_urgent_goes_before_normal_before_bulk_and_each_lane_in_its_order(arrivals: list[Priority]) -> None:
    lanes = Lanes(1000.0, 1000.0)
    for number, lane in enumerate(arrivals):
        lanes.add(waiting(number, lane), 0.0)
    wanted = sorted(range(len(arrivals)), key=lambda number: (ORDER.index(arrivals[number]), number))
    assert numbers(lanes.release(100, 0.0)) == wanted


def test_an_urgent_one_that_comes_later_overtakes_what_waits() -> None:
    lanes = Lanes(1.0, 1.0)
    for number in range(3):
        lanes.add(waiting(number, Priority.BULK), 0.0)
    assert numbers(lanes.release(10, 0.0)) == [0]
    lanes.add(waiting(3, Priority.URGENT), 0.5)
    assert numbers(lanes.release(10, 1.0)) == [3]
    assert numbers(lanes.release(10, 2.0)) == [1]


def test_a_slow_sender_holds_up_nobody_else() -> None:
    lanes = Lanes(1.0, 1.0)
    for number in range(5):
        lanes.add(waiting(number, sender="+1"), 0.0)
    lanes.add(waiting(5, sender="+2"), 0.0)
    assert numbers(lanes.release(10, 0.0)) == [0, 5]
    lanes.pause("+1", 50.0)
    lanes.add(waiting(6, sender="+2"), 1.0)
    assert numbers(lanes.release(10, 2.0)) == [6]


def test_a_small_limit_is_shared_by_the_senders_in_turn() -> None:
    lanes = Lanes(1000.0, 1000.0)
    for number in range(12):
        lanes.add(waiting(number, sender=f"+{number % 3}"), 0.0)
    one_by_one = [each.command.sender for _ in range(12) for each in lanes.release(1, 0.0)]
    for round_of_three in range(0, 12, 3):
        assert set(one_by_one[round_of_three : round_of_three + 3]) == {"+0", "+1", "+2"}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ORDER), st.integers(1, 12)), max_size=40),
    st.integers(1, 8),
)
def test_everything_goes_once_in_the_end_whatever_its_length_and_the_limit(
    arrivals: list[tuple[int, Priority, int]], limit: int
) -> None:
    lanes = Lanes(2.0, 4.0)
    for number, (sender, lane, segments) in enumerate(arrivals):
        lanes.add(waiting(number, lane, sender=f"+{sender}", segments=segments), 0.0)
    released: list[int] = []
    now = 0.0
    while lanes and now < 1_000:
        batch = lanes.release(limit, now)
        assert len(batch) <= limit
        released += numbers(batch)
        now += 0.25
    assert sorted(released) == list(range(len(arrivals)))


def test_a_long_text_is_not_starved_by_short_ones_behind_it() -> None:
    lanes = Lanes(1.0, 2.0)
    lanes.add(waiting(0, segments=2), 0.0)
    lanes.add(waiting(1, segments=9), 0.0)
    for number in range(2, 6):
        lanes.add(waiting(number), 0.0)
    assert [number for now in range(4) for number in numbers(lanes.release(10, float(now)))] == [0, 1]


def test_the_limit_leaves_the_rest_waiting_at_no_cost() -> None:
    lanes = Lanes(1.0, 5.0)
    for number in range(5):
        lanes.add(waiting(number), 0.0)
    assert numbers(lanes.release(2, 0.0)) == [0, 1]
    assert numbers(lanes.release(0, 0.0)) == []
    assert numbers(lanes.release(9, 0.0)) == [2, 3, 4]


def test_it_knows_what_it_holds_until_that_goes() -> None:
    lanes = Lanes(1.0, 1.0)
    lanes.add(waiting(1), 0.0)
    assert (len(lanes), lanes.holds("n1:1")) == (1, True)
    lanes.release(1, 0.0)
    assert (len(lanes), lanes.holds("n1:1")) == (0, False)


def test_a_partition_that_is_given_away_takes_only_its_own_commands_along() -> None:
    lanes = Lanes(100.0, 100.0)
    for number in range(6):
        lanes.add(waiting(number, ORDER[number % 3], partition=number % 2), 0.0)
    lanes.drop(1)
    assert not any(lanes.holds(f"n{number}:1") for number in (1, 3, 5))
    assert sorted(numbers(lanes.release(10, 0.0))) == [0, 2, 4]
    assert len(lanes) == 0


def test_a_pause_of_a_sender_nobody_waits_for_is_no_error() -> None:
    lanes = Lanes(1.0, 1.0)
    lanes.pause("+9", 10.0)
    assert not lanes
