"""When a route changes its status, and above all when it does not."""

from __future__ import annotations

import random
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.vocabulary import RouteStatus
from sinks.health.decide import Baseline, Counts, Policy, Reason, State, decide, wilson

HEALTHY, DEGRADED, DOWN = RouteStatus
POLICY = Policy()
MINUTE = 60_000
USUAL = Counts(9_500, 300, 200)
NOTHING = Counts()
NOW = 1_790_000_000_000


def state(status: RouteStatus = HEALTHY, baseline: float | None = 0.95, **changes: object) -> State:
    known = Baseline(baseline, 10_000) if baseline is not None else None
    made = State(status, HEALTHY, Reason.FAILURES, NOW - MINUTE, NOW - MINUTE, known)
    return made._replace(**changes)  # type: ignore[arg-type]


def looked(first: State | None, *windows: Counts, before: Counts = USUAL) -> list[State | None]:
    """The states after each of these windows, one look a minute."""
    found = []
    now = NOW
    current = first
    for counts in windows:
        current = decide(current, counts, before, now, POLICY).state
        found.append(current)
        now += MINUTE
    return found


def statuses(first: State | None, *windows: Counts, before: Counts = USUAL) -> list[RouteStatus | None]:
    return [each and each.status for each in looked(first, *windows, before=before)]


# -- the plain cases -------------------------------------------------------------------------------------


def test_a_route_that_fails_far_below_its_baseline_is_down_at_the_second_look() -> None:
    assert statuses(state(), *[Counts(5, 95)] * 3) == [HEALTHY, DOWN, DOWN]


def test_a_route_that_loses_a_third_is_degraded_at_the_second_look() -> None:
    assert statuses(state(), *[Counts(60, 30, 10)] * 3) == [HEALTHY, DEGRADED, DEGRADED]


def test_one_bad_look_alone_changes_nothing() -> None:
    assert statuses(state(), Counts(5, 95), Counts(95, 5), Counts(5, 95)) == [HEALTHY] * 3


def test_two_looks_that_disagree_on_how_bad_it_is_take_the_milder() -> None:
    assert statuses(state(), Counts(60, 40), Counts(5, 95)) == [HEALTHY, DEGRADED]


def test_a_route_that_delivers_again_is_healthy_at_the_fifth_look() -> None:
    found = looked(state(DOWN), *[Counts(95, 5)] * 5)
    assert [each and each.status for each in found] == [DOWN] * 4 + [HEALTHY]
    assert found[-1] is not None
    assert (found[-1].reason, found[-1].previous) == (Reason.RECOVERED, DOWN)


def test_a_route_that_half_delivers_again_is_degraded_first() -> None:
    assert statuses(state(DOWN), *[Counts(60, 40)] * 5)[-2:] == [DOWN, DEGRADED]


def test_the_reason_tells_silence_from_failures() -> None:
    assert looked(state(), *[Counts(5, 10, 85)] * 2)[1].reason == Reason.SILENCE  # type: ignore[union-attr]
    assert looked(state(), *[Counts(5, 85, 10)] * 2)[1].reason == Reason.FAILURES  # type: ignore[union-attr]


def test_a_route_nobody_knew_is_told_once_there_is_enough_to_tell() -> None:
    assert decide(None, Counts(20, 0), NOTHING, NOW, POLICY) == (None, False)
    first = decide(None, Counts(40, 0), NOTHING, NOW, POLICY)
    assert first.tell
    assert first.state is not None
    assert (first.state.status, first.state.reason, first.state.since) == (HEALTHY, Reason.FIRST_SEEN, NOW)


# -- baselines -------------------------------------------------------------------------------------------


def test_a_carrier_that_never_told_much_is_healthy_while_it_tells_as_much() -> None:
    seldom = Counts(3_000, 100, 6_900)
    assert statuses(state(baseline=0.3), *[Counts(30, 1, 69)] * 3, before=seldom) == [HEALTHY] * 3


def test_without_a_baseline_silence_says_nothing() -> None:
    assert statuses(state(baseline=None), *[Counts(0, 0, 500)] * 3, before=NOTHING) == [HEALTHY] * 3


def test_without_a_baseline_failures_do() -> None:
    assert statuses(None, *[Counts(0, 100, 0)] * 2, before=NOTHING) == [HEALTHY, DOWN]


def test_an_outage_does_not_become_the_baseline() -> None:
    poor = Counts(1_000, 9_000)
    found = looked(state(DOWN), *[Counts(10, 90)] * 5, before=poor)
    assert {each and each.baseline for each in found} == {Baseline(0.95, 10_000)}
    assert {each and each.status for each in found} == {DOWN}


def test_the_baseline_stands_still_from_the_first_bad_look() -> None:
    first = decide(state(), Counts(60, 40), USUAL, NOW, POLICY).state
    second = decide(first, Counts(60, 40), Counts(5_000, 5_000), NOW + MINUTE, POLICY).state
    assert second is not None
    assert (second.status, second.baseline) == (DEGRADED, Baseline(0.95, 10_000))


def test_a_degraded_route_is_measured_by_itself_after_a_week() -> None:
    long_ago = state(DEGRADED, since=NOW - POLICY.accept_ms)
    found = statuses(long_ago, *[Counts(60, 0, 40)] * 5, before=Counts(6_000, 0, 4_000))
    assert found[-2:] == [DEGRADED, HEALTHY]


# -- quiet -----------------------------------------------------------------------------------------------


def test_a_route_that_is_down_and_no_longer_used_is_let_try_again_after_an_hour() -> None:
    quiet = decide(state(DOWN), NOTHING, USUAL, NOW, POLICY).state
    assert quiet is not None
    assert quiet.status is DOWN
    before = decide(quiet, NOTHING, USUAL, NOW + POLICY.quiet_ms - 1, POLICY).state
    assert before is not None
    assert before.status is DOWN
    after = decide(quiet, NOTHING, USUAL, NOW + POLICY.quiet_ms, POLICY)
    assert after.state is not None
    assert (after.state.status, after.state.reason, after.tell) == (DEGRADED, Reason.QUIET, True)


def test_a_healthy_route_nobody_uses_is_forgotten_after_the_time_of_a_baseline() -> None:
    quiet = decide(state(), NOTHING, NOTHING, NOW, POLICY).state
    assert decide(quiet, NOTHING, NOTHING, NOW + POLICY.baseline_ms, POLICY) == (None, False)


# -- telling ---------------------------------------------------------------------------------------------


def test_nothing_is_told_while_nothing_changes_until_it_is_time_to_say_it_again() -> None:
    fine = Counts(95, 5)
    known = state(told_at=NOW)
    assert not decide(known, fine, USUAL, NOW + POLICY.again_ms - 1, POLICY).tell
    again = decide(known, fine, USUAL, NOW + POLICY.again_ms, POLICY)
    assert again.tell
    assert again.state is not None
    assert again.state.told_at == NOW + POLICY.again_ms


# -- properties ------------------------------------------------------------------------------------------

COUNTS = st.builds(Counts, *[st.integers(0, 3_000)] * 3)
KNOWN = st.builds(state, st.sampled_from(RouteStatus), st.floats(0.01, 1))


@given(st.lists(st.builds(Counts, *[st.integers(0, 9)] * 3), min_size=1, max_size=20))
def test_small_counts_never_make_a_route_worse(windows: list[Counts]) -> None:
    assert set(statuses(state(), *windows)) == {HEALTHY}


@given(KNOWN, st.lists(COUNTS, min_size=1, max_size=12))
def test_a_route_only_gets_down_by_enough_messages(first: State, windows: list[Counts]) -> None:
    current: State | None = first
    now = NOW
    for counts in windows:
        after = decide(current, counts, USUAL, now, POLICY).state
        if after is not None and after.status is DOWN and current is not None and current.status is not DOWN:
            assert counts.total >= POLICY.least_down
        current, now = after, now + MINUTE


@given(
    status=st.sampled_from([HEALTHY, DEGRADED]),
    baseline=st.floats(0.2, 1),
    totals=st.lists(st.integers(30, 1_000_000), min_size=2, max_size=20),
    where=st.lists(st.floats(0, 1), min_size=20, max_size=20),
)
def test_between_the_two_marks_a_route_stays_what_it_is_however_many_messages_there_are(
    status: RouteStatus, baseline: float, totals: list[int], where: list[float]
) -> None:
    windows = []
    for total, place in zip(totals, where, strict=False):
        low = ceil(POLICY.degraded_below * baseline * total)
        high = floor(POLICY.healthy_above * baseline * total) - 1
        assume(low <= high)
        delivered = low + round(place * (high - low))
        windows.append(Counts(delivered, total - delivered))
    before = Counts(round(baseline * 1_000_000), 1_000_000 - round(baseline * 1_000_000))
    # A millionth of the baseline is rounded away: within that the mark itself is not sharp.
    assert set(statuses(state(status, baseline)._replace(baseline=_of(before)), *windows, before=before)) == {
        status
    }


def _of(before: Counts) -> Baseline:
    return Baseline(before.delivered / before.total, before.total)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rate", [0.75, 0.76, 0.8, 0.85])
def test_chance_about_the_marks_changes_a_route_once_a_day_at_most(rate: float, seed: int) -> None:
    """The baseline is 0.95: the marks are 0.76 and 0.855. A look a minute, 100 messages each."""
    chance = random.Random(seed)
    current: State | None = state()
    changes = 0
    for look in range(1_440):
        delivered = sum(chance.random() < rate for _ in range(100))
        after = decide(current, Counts(delivered, 100 - delivered), USUAL, NOW + look * MINUTE, POLICY).state
        assert after is not None
        changes += current is not None and after.status is not current.status
        current = after
    assert changes <= 1


@given(
    status=st.sampled_from(RouteStatus),
    baseline=st.floats(0.05, 1),
    total=st.integers(1, 5_000),
    more=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_of_two_windows_as_large_the_one_that_delivered_more_is_never_judged_worse(
    status: RouteStatus, baseline: float, total: int, more: tuple[float, float]
) -> None:
    ends = []
    for part in sorted(more):
        delivered = round(part * total)
        found = statuses(state(status, baseline), *[Counts(delivered, total - delivered)] * 5)
        ends.append(list(RouteStatus).index(found[-1] or HEALTHY))
    assert ends[0] >= ends[1]


@given(first=KNOWN, counts=COUNTS)
def test_the_same_window_again_and_again_ends_in_one_status(first: State, counts: Counts) -> None:
    """No window makes a route swing; an hour of quiet is another matter, and is not reached here."""
    found = statuses(first, *[counts] * 20)
    assert len(set(found[-8:])) == 1


@given(first=KNOWN, counts=COUNTS, before=COUNTS)
def test_every_change_takes_the_looks_it_should_and_is_told(
    first: State, counts: Counts, before: Counts
) -> None:
    once = decide(first, counts, before, NOW, POLICY)
    assert once.state is not None
    assert once.state.status is first.status
    twice = decide(once.state, counts, before, NOW + MINUTE, Policy(looks_better=2))
    if twice.state is not None and twice.state.status is not first.status:
        assert twice.tell
        assert twice.state.since == NOW + MINUTE
        assert twice.state.previous is first.status


@given(total=st.integers(1, 10**7), part=st.floats(0, 1))
def test_the_interval_holds_its_rate_and_stays_between_0_and_1(total: int, part: float) -> None:
    found = wilson(round(part * total), total)
    assert found is not None
    assert 0 <= found.low <= found.rate + 1e-12
    assert found.rate - 1e-12 <= found.high <= 1


@pytest.mark.parametrize(
    ("good", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(good: int, total: int, low: float, high: float) -> None:
    """The examples of Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    found = wilson(good, total)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    "wrong", [{"down_below": 0.5}, {"looks": 0}, {"least": 51}, {"healthy_above": 1.1}, {"window_ms": 0}]
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Policy(**wrong)  # type: ignore[arg-type]
