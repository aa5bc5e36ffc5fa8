"""One look at all routes: their figures through the decision, to the records that are due.

Guarantees: pure; the states come back beside the records, so that they are taken over only when those are
acknowledged. Leaves to the worker: both ends.
"""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.records import RouteHealth
from sinks.health.decide import Policy, State, decide
from sinks.health.telling import Figures, Route, record, spans

_NOTHING = Figures()


class Look(NamedTuple):
    states: dict[Route, State]
    told: tuple[RouteHealth, ...]
    """In the order of the routes, so that the same look tells the same."""


def look(states: Mapping[Route, State], figures: Mapping[Route, Figures], now: int, policy: Policy) -> Look:
    """`now` is the time of the look, which the figures are of."""
    after: dict[Route, State] = {}
    told: list[RouteHealth] = []
    at = spans(now, policy)
    for route in sorted(states.keys() | figures.keys()):
        found = figures.get(route, _NOTHING)
        decided = decide(states.get(route), found.counts, found.before, now, policy)
        if decided.state is None:
            continue
        after[route] = decided.state
        if decided.tell:
            told.append(record(route, decided.state, found, at, now))
    return Look(after, tuple(told))
