"""When a route is healthy, degraded or down: state in, counts in; state out, and whether to tell.

Guarantees: pure. A route gets worse only when even the upper end of the 95 % Wilson interval of what it
delivered is below the part of its own baseline that is set for it, so small counts say nothing, and never
`down`; it gets better only beyond a second, higher mark, and both only after several looks in a row: on the
border it stays what it is. The baseline stands still while a route is not healthy: an outage does not become
the new normal. Leaves to others: the counts (`figures`), the record (`telling`), the time between two looks.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from schemas.vocabulary import RouteStatus

_Z = 1.959964
"""Of the two-sided 95 % interval."""
_RANK = {RouteStatus.HEALTHY: 0, RouteStatus.DEGRADED: 1, RouteStatus.DOWN: 2}
_BETTER = {
    RouteStatus.HEALTHY: RouteStatus.HEALTHY,
    RouteStatus.DEGRADED: RouteStatus.HEALTHY,
    RouteStatus.DOWN: RouteStatus.DEGRADED,
}


class Reason(StrEnum):
    FIRST_SEEN = "first-seen"
    # Most of what was not delivered failed, with a code or without one.
    FAILURES = "failures"
    # Most of what was not delivered is late, or nobody told what became of it.
    SILENCE = "silence"
    RECOVERED = "recovered"
    # Too little was sent for a while to tell; a step better, so that somebody tries again.
    QUIET = "quiet"


class Counts(NamedTuple):
    """Messages of one span that say something of the route; the three are apart."""

    delivered: int = 0
    """Within the grace."""
    failed: int = 0
    silent: int = 0

    @property
    def total(self) -> int:
        return self.delivered + self.failed + self.silent


class Interval(NamedTuple):
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times in milliseconds; rates are parts of the baseline. Raises ValueError when it cannot work."""

    window_ms: int = 900_000
    grace_ms: int = 300_000
    baseline_ms: int = 86_400_000
    least: int = 30
    """Messages in the window below which nothing is said."""
    least_down: int = 50
    least_baseline: int = 200
    degraded_below: float = 0.8
    healthy_above: float = 0.9
    down_below: float = 0.3
    up_above: float = 0.45
    assumed: float = 0.8
    """Stands for the baseline while there is none; then silence does not count: some carriers never tell."""
    looks: int = 2
    """Looks in a row that must agree before a route gets worse."""
    looks_better: int = 5
    """The same for better: being told twice of one outage costs more than a few minutes of doubt."""
    quiet_ms: int = 3_600_000
    again_ms: int = 600_000
    accept_ms: int = 604_800_000
    """After so long a degraded route's own rate becomes its baseline: it is the new normal."""

    def __post_init__(self) -> None:
        if not 0 < self.down_below < self.up_above < self.degraded_below < self.healthy_above <= 1:
            raise ValueError("the marks must rise: 0 < down < up < degraded < healthy <= 1 of the baseline")
        if min(self.window_ms, self.grace_ms, self.baseline_ms, self.looks, self.looks_better) < 1:
            raise ValueError("window, grace, baseline and looks must be positive")
        if not 1 <= self.least <= self.least_down:
            raise ValueError(f"least is {self.least}: it must be 1 to {self.least_down}, what `down` needs")


class Baseline(NamedTuple):
    rate: float
    counted: int


class State(NamedTuple):
    """What is remembered of a route between two looks. Times are of the looks."""

    status: RouteStatus
    previous: RouteStatus
    reason: str
    since: int
    told_at: int
    baseline: Baseline | None = None
    towards: RouteStatus | None = None
    """What the last looks agreed on, when it is another status; the nearest of them."""
    looks: int = 0
    quiet_since: int | None = None


class Decision(NamedTuple):
    state: State | None
    """None: nothing is known of this route, or nothing any more."""
    tell: bool


def wilson(good: int, total: int) -> Interval | None:
    """The 95 % interval of a rate (Wilson 1927, JASA 22:209); None of nothing."""
    if total == 0:
        return None
    rate = good / total
    spread = _Z * _Z / total
    middle = rate + spread / 2
    half = _Z * sqrt(rate * (1 - rate) / total + spread / (4 * total))
    return Interval(rate, max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread)))


def judged(counts: Counts, baseline: Baseline | None) -> Interval | None:
    """What a route is judged by: without a baseline, of the delivered and failed alone."""
    return wilson(counts.delivered, counts.total - (0 if baseline is not None else counts.silent))


def decide(state: State | None, counts: Counts, before: Counts, now: int, policy: Policy) -> Decision:
    """One look at a route. `counts` is the window's, `before` that of the time before it."""
    fresh = _baseline(before, policy)
    if state is None:
        if _wanted(RouteStatus.HEALTHY, counts, fresh, policy) is None:
            return Decision(None, False)
        healthy = RouteStatus.HEALTHY
        first = State(healthy, healthy, Reason.FIRST_SEEN, now, now, fresh)
        return Decision(_looked(first, counts, now, policy), True)
    state = _with_baseline(state, fresh, now, policy)
    after = _looked(state, counts, now, policy)
    if after.status is RouteStatus.HEALTHY and _forgettable(after, now, policy):
        return Decision(None, False)
    worth_it = after.status is not RouteStatus.HEALTHY or counts.total > 0
    tell = after.status is not state.status or (worth_it and now - state.told_at >= policy.again_ms)
    return Decision(after._replace(told_at=now) if tell else after, tell)


def _looked(state: State, counts: Counts, now: int, policy: Policy) -> State:
    wanted = _wanted(state.status, counts, state.baseline, policy)
    if wanted is None:
        return _quiet(state, now, policy)
    state = state._replace(quiet_since=None)
    if wanted is state.status:
        return state._replace(towards=None, looks=0)
    worse = _RANK[wanted] > _RANK[state.status]
    if state.towards is not None and (_RANK[state.towards] > _RANK[state.status]) is worse:
        nearest = min(wanted, state.towards, key=lambda each: abs(_RANK[each] - _RANK[state.status]))
        state = state._replace(towards=nearest, looks=state.looks + 1)
    else:
        state = state._replace(towards=wanted, looks=1)
    if state.looks < (policy.looks if worse else policy.looks_better) or state.towards is None:
        return state
    reason = _why(counts, state.baseline) if worse else Reason.RECOVERED
    return _changed(state, state.towards, reason, now)


def _quiet(state: State, now: int, policy: Policy) -> State:
    since = now if state.quiet_since is None else state.quiet_since
    state = state._replace(quiet_since=since, towards=None, looks=0)
    if state.status is RouteStatus.HEALTHY or now - since < policy.quiet_ms:
        return state
    return _changed(state, _BETTER[state.status], Reason.QUIET, now)._replace(quiet_since=now)


def _changed(state: State, status: RouteStatus, reason: Reason, now: int) -> State:
    return state._replace(
        status=status,
        previous=state.status,
        reason=reason,
        since=now,
        towards=None,
        looks=0,
        quiet_since=None,
    )


def _forgettable(state: State, now: int, policy: Policy) -> bool:
    return state.quiet_since is not None and now - state.quiet_since >= policy.baseline_ms


def _wanted(
    status: RouteStatus, counts: Counts, baseline: Baseline | None, policy: Policy
) -> RouteStatus | None:
    """What this window alone makes of a route of this status; None when it is too little to tell."""
    seen = judged(counts, baseline)
    total = counts.total if baseline is not None else counts.delivered + counts.failed
    if seen is None or total < policy.least:
        return None
    reference = baseline.rate if baseline is not None else policy.assumed
    if seen.high < policy.down_below * reference and total >= policy.least_down:
        return RouteStatus.DOWN
    if seen.rate >= policy.healthy_above * reference and seen.low > policy.degraded_below * reference:
        return RouteStatus.HEALTHY
    if status is RouteStatus.DOWN:
        up = seen.rate >= policy.up_above * reference and seen.low > policy.down_below * reference
        return RouteStatus.DEGRADED if up else RouteStatus.DOWN
    return RouteStatus.DEGRADED if seen.high < policy.degraded_below * reference else status


def _baseline(before: Counts, policy: Policy) -> Baseline | None:
    if before.total < policy.least_baseline:
        return None
    return Baseline(before.delivered / before.total, before.total)


def _with_baseline(state: State, fresh: Baseline | None, now: int, policy: Policy) -> State:
    settled = state.status is RouteStatus.HEALTHY and state.towards is None
    normal_by_now = state.status is RouteStatus.DEGRADED and now - state.since >= policy.accept_ms
    return state._replace(baseline=fresh) if settled or normal_by_now else state


def _why(counts: Counts, baseline: Baseline | None) -> Reason:
    return Reason.SILENCE if baseline is not None and counts.silent > counts.failed else Reason.FAILURES
