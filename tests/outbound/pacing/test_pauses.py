"""What is paused waits, and no more than that; it can be seen why and until when."""

from __future__ import annotations

import pytest

from sinks.outbound.lanes import Lanes
from sinks.outbound.pacing.pauses import EVERYTHING, Pause, Reach, Scope
from tests.outbound.pacing.examples import T0, go, lanes_at, numbers, waiting

SENDER, TENANT, PROVIDER = Scope(Reach.SENDER, "+1"), Scope(Reach.TENANT, "a"), Scope(Reach.PROVIDER, "p")


@pytest.fixture
def lanes() -> Lanes:
    """Of the first, every scope is the one that is paused; of the second none."""
    lanes = lanes_at()
    lanes.add(waiting(1, sender="+1", tenant="a", provider="p"), T0)
    lanes.add(waiting(2, sender="+2", tenant="b", provider="q"), T0)
    return lanes


@pytest.mark.parametrize("scope", [SENDER, TENANT, PROVIDER])
def test_what_is_paused_waits_until_it_is_resumed_and_nothing_else_does(lanes: Lanes, scope: Scope) -> None:
    lanes.pause(scope, "30034")
    assert numbers(go(lanes, T0)) == [2]
    assert numbers(go(lanes, T0 + 10**9)) == []
    assert lanes.resume(scope)
    assert numbers(go(lanes, T0 + 10**9)) == [1]


def test_a_pause_of_everything_holds_everybody(lanes: Lanes) -> None:
    lanes.pause(EVERYTHING, "30002")
    assert numbers(go(lanes, T0)) == []
    lanes.resume(EVERYTHING)
    assert sorted(numbers(go(lanes, T0))) == [1, 2]


@pytest.mark.parametrize("scope", [SENDER, TENANT, PROVIDER, EVERYTHING])
def test_a_pause_with_an_end_ends_by_itself_at_that_moment(lanes: Lanes, scope: Scope) -> None:
    lanes.pause(scope, "a while", until=T0 + 5_000)
    go(lanes, T0)
    assert lanes.next_at() == T0 + 5_000
    assert numbers(go(lanes, T0 + 4_999)) == []
    assert 1 in numbers(go(lanes, T0 + 5_000))
    assert lanes.pauses() == ()


@pytest.mark.parametrize("scope", [SENDER, TENANT, PROVIDER, EVERYTHING])
def test_what_is_paused_expires_all_the_same(scope: Scope) -> None:
    lanes = lanes_at()
    lanes.add(waiting(1, sender="+1", tenant="a", provider="p", not_after=T0 + 100), T0)
    lanes.pause(scope, "for long")
    assert numbers(go(lanes, T0)) == []
    assert lanes.next_at() == T0 + 100
    assert numbers(lanes.release(0, T0 + 100).expired) == [1]


def test_two_pauses_hold_until_both_are_over(lanes: Lanes) -> None:
    lanes.pause(TENANT, "one")
    lanes.pause(PROVIDER, "other")
    go(lanes, T0)
    lanes.resume(TENANT)
    assert numbers(go(lanes, T0)) == []
    lanes.resume(PROVIDER)
    assert numbers(go(lanes, T0)) == [1]


def test_what_comes_during_a_pause_waits_in_its_order() -> None:
    lanes = lanes_at()
    lanes.pause(TENANT, "one")
    for number in range(3):
        lanes.add(waiting(number, tenant="a", recipient="+12"), T0)
    assert numbers(go(lanes, T0)) == []
    lanes.resume(TENANT)
    assert numbers(go(lanes, T0)) == [0]


def test_a_paused_tenants_command_holds_up_no_other_tenants_to_the_same_person() -> None:
    lanes = lanes_at()
    lanes.add(waiting(0, tenant="a", recipient="+12"), T0)
    lanes.add(waiting(1, tenant="b", recipient="+12"), T0)
    lanes.pause(TENANT, "one")
    assert numbers(go(lanes, T0)) == [1]


def test_nothing_is_saved_up_beyond_the_bucket_during_a_pause() -> None:
    lanes = lanes_at(1.0, 2.0)
    for number in range(9):
        lanes.add(waiting(number), T0)
    lanes.pause(SENDER, "one", until=T0 + 60_000)
    go(lanes, T0)
    assert numbers(go(lanes, T0 + 60_000)) == [0, 1]


def test_pauses_are_listed_with_their_reasons_and_the_last_of_a_scope_counts(lanes: Lanes) -> None:
    lanes.pause(SENDER, "first")
    lanes.pause(TENANT, "other", until=T0 + 9)
    lanes.pause(SENDER, "second")
    assert set(lanes.pauses()) == {Pause(SENDER, "second", None), Pause(TENANT, "other", T0 + 9)}
    assert not lanes.resume(PROVIDER)


def test_a_sender_nobody_waits_for_can_be_paused_and_slowed_down() -> None:
    lanes = lanes_at()
    lanes.pause(Scope(Reach.SENDER, "+9"), "early")
    lanes.slow_down("+9", T0, 1_000)
    lanes.add(waiting(1, sender="+9"), T0)
    assert numbers(go(lanes, T0)) == []
    lanes.resume(Scope(Reach.SENDER, "+9"))
    assert numbers(go(lanes, T0)) == [1]


def test_what_the_journal_has_begins_in_spite_of_a_later_pause(lanes: Lanes) -> None:
    lanes.journaled(lanes.release(9, T0).called_up)
    lanes.pause(EVERYTHING, "too late for these")
    assert sorted(numbers(lanes.begin(T0))) == [1, 2]


def test_a_retry_after_holds_also_what_the_journal_has_already() -> None:
    lanes = lanes_at(10.0, 10.0)
    lanes.add(waiting(1), T0)
    lanes.journaled(lanes.release(9, T0).called_up)
    lanes.slow_down("+1", T0, 3_000)
    assert numbers(lanes.begin(T0 + 3_000)) == []
    begins_at = lanes.begins_at()
    assert begins_at == T0 + 3_200  # a segment at half of ten a second
    assert numbers(lanes.begin(begins_at)) == [1]
