"""A route's state and counts as the record that is published, and the state again from that record.

Guarantees: deterministic ids: the same change decided twice, by whichever process, is the same event; what a
restart needs is in the record. Leaves to `decide`: when one is due.
"""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.identity import event_id
from schemas.records import RouteError, RouteHealth
from sinks.health.decide import Baseline, Counts, Policy, State, judged

MOST_ERRORS = 5


class Route(NamedTuple):
    """What is looked at as one; the words are those of the table `messages`."""

    tenant: str
    sender: str
    carrier: str
    country: str

    @property
    def id(self) -> str:
        return event_id("route", *self)


@dataclass(frozen=True, slots=True)
class Spans:
    """What one look counts, milliseconds since the epoch: [start, end) and, before it, [before, start)."""

    before: int
    start: int
    end: int
    grace_ms: int


class Figures(NamedTuple):
    """What ClickHouse says of one route."""

    counts: Counts = Counts()
    before: Counts = Counts()
    errors: tuple[RouteError, ...] = ()
    """Of the window, the most frequent first."""


def spans(now: int, policy: Policy) -> Spans:
    """The window ends a grace ago: every message in it had its time to be delivered."""
    end = now - policy.grace_ms
    start = end - policy.window_ms
    return Spans(start - policy.baseline_ms, start, end, policy.grace_ms)


def record(route: Route, state: State, figures: Figures, looked_at: Spans, now: int) -> RouteHealth:
    seen = judged(figures.counts, state.baseline)
    return RouteHealth(
        route=route.id,
        tenant=route.tenant,
        sender=route.sender,
        carrier=route.carrier,
        country=route.country,
        status=state.status,
        previous=state.previous,
        reason=state.reason,
        since=state.since,
        at=now,
        event_id=event_id(route.id, state.status, str(state.since)),
        window_from=looked_at.start,
        window_until=looked_at.end,
        grace_ms=looked_at.grace_ms,
        counted=figures.counts.total,
        delivered=figures.counts.delivered,
        failed=figures.counts.failed,
        silent=figures.counts.silent,
        rate=seen.rate if seen is not None else None,
        rate_low=seen.low if seen is not None else None,
        rate_high=seen.high if seen is not None else None,
        baseline=state.baseline.rate if state.baseline is not None else None,
        baseline_counted=state.baseline.counted if state.baseline is not None else 0,
        errors=figures.errors[:MOST_ERRORS],
    )


def route_of(told: RouteHealth) -> Route:
    return Route(told.tenant, told.sender, told.carrier, told.country)


def state_of(told: RouteHealth) -> State:
    """What was known when this was told; the looks since then are made again."""
    return State(
        status=told.status,
        previous=told.previous,
        reason=told.reason,
        since=told.since,
        told_at=told.at,
        baseline=Baseline(told.baseline, told.baseline_counted) if told.baseline is not None else None,
    )
