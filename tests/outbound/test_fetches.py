"""How often the provider is asked about messages that went quiet."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.fetches import Budget


def test_the_first_request_waits_for_nothing_and_the_others_for_their_turn() -> None:
    budget = Budget(4.0)
    assert [budget.wait_s(100.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_what_was_not_asked_for_is_not_saved_up() -> None:
    budget = Budget(4.0)
    budget.wait_s(100.0)
    assert [budget.wait_s(200.0) for _ in range(3)] == [0.0, 0.25, 0.5]


@given(
    per_s=st.sampled_from([0.5, 1.0, 8.0]),
    pauses=st.lists(st.sampled_from([0.0, 0.125, 1.0, 5.0]), max_size=60),
)
def test_no_stretch_of_time_has_more_than_its_budget(per_s: float, pauses: list[float]) -> None:
    budget, now, turns = Budget(per_s), 0.0, []
    for pause in pauses:
        now += pause
        turns.append(now + budget.wait_s(now))
    assert all(later - earlier >= 1 / per_s for earlier, later in pairwise(turns))
