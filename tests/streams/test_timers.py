"""Deadlines against a model that a child could check: a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.timers import Due, Timers

PARTITIONS = st.integers(0, 2)
KEYS = st.sampled_from([b"a", b"b", b"c"])
TIMES = st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), PARTITIONS, KEYS, st.one_of(st.none(), TIMES)),
        st.tuples(st.just("pop"), TIMES),
        st.tuples(st.just("drop"), PARTITIONS),
    ),
    max_size=40,
)


@given(STEPS)
def test_each_deadline_in_force_comes_once_when_it_has_come_and_no_other_does(
    steps: list[tuple[object, ...]],
) -> None:
    timers = Timers()
    model: dict[tuple[int, bytes], int] = {}
    for step in steps:
        match step:
            case ("set", int(partition), bytes(key), None):
                timers.set(partition, key, None)
                model.pop((partition, key), None)
            case ("set", int(partition), bytes(key), int(due_at)):
                timers.set(partition, key, due_at)
                model[partition, key] = due_at
            case ("drop", int(partition)):
                timers.drop(partition)
                model = {place: due for place, due in model.items() if place[0] != partition}
            case ("pop", int(now)):
                expected = {Due(due, *place) for place, due in model.items() if due <= now}
                popped = timers.pop_due(now)
                assert popped == sorted(expected)
                model = {place: due for place, due in model.items() if due > now}
        assert len(timers) == len(model)


def test_a_deadline_that_moved_away_does_not_come_at_its_old_time() -> None:
    timers = Timers()
    timers.set(0, b"a", 10)
    timers.set(0, b"a", 20)
    assert timers.pop_due(15) == []
    assert timers.pop_due(20) == [Due(20, 0, b"a")]


def test_the_earliest_comes_first_wherever_it_belongs() -> None:
    timers = Timers()
    for due_at, partition, key in ((3, 0, b"x"), (1, 1, b"y"), (2, 0, b"z")):
        timers.set(partition, key, due_at)
    assert [due.due_at for due in timers.pop_due(9)] == [1, 2, 3]


def test_a_deadline_moved_often_does_not_pile_up() -> None:
    timers = Timers()
    for due_at in range(100_000):
        timers.set(0, b"a", due_at)
    assert len(timers) == 1
    assert len(timers._heap) < 100
