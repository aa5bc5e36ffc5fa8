"""The metrics of an outbound process that has a bit of everything, as Prometheus would see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from schemas.records import LaneState, PauseState, SenderState
from schemas.vocabulary import CommandResult, ControlScope, ErrorClass, Priority
from sinks.outbound.books import Books, Ending, FetchEnd
from sinks.outbound.journal import Journal
from sinks.outbound.metrics import Metrics
from sinks.outbound.watching import Place, Watching
from streams.progress import Progress
from tests.outbound.examples import SENDER, entry

NOW = 1_790_000_000_000
READING = {
    Place("outbound.commands.normal", 0): Progress(5, 9),
    Place("outbound.commands.normal", 1): Progress(5, 6),
}
STATE = SenderState(
    sender=SENDER,
    owner="owner-1",
    at=NOW,
    segments_per_s=0.5,
    set_segments_per_s=1.0,
    tokens=-0.5,
    lanes=(
        LaneState(lane=Priority.URGENT, waiting=2, oldest_at=NOW - 7_500),
        LaneState(lane=Priority.NORMAL, waiting=0),
        LaneState(lane=Priority.BULK, waiting=0),
    ),
    in_flight=3,
    in_doubt=1,
    held=1,
    spent_today=70,
    daily_segments=100,
    pauses=(
        PauseState(scope=ControlScope.TENANT, target="acme", reason="a"),
        PauseState(scope=ControlScope.TENANT, target="b", reason="b"),
    ),
)


def metrics() -> Metrics:
    """Must be called on a running loop."""
    books = Books()
    journal = Journal()
    journal.record(entry("a:1", CommandResult.HELD, started_at=NOW - 90_000))
    journal.record(entry("b:1", CommandResult.IN_DOUBT, started_at=NOW - 30_000))
    journal.record(entry("c:1", CommandResult.IN_DOUBT, started_at=NOW - 10_000))
    books.take_over(0, journal)
    books.fetches[FetchEnd.SHED] = 2
    books.endings = Counter({Ending(SENDER, CommandResult.REJECTED, ErrorClass.RATE): 4})

    def states(now: int) -> Iterator[SenderState]:
        yield STATE

    made = Metrics(states, books, Watching(lambda: READING), lambda: READING, lambda: NOW)
    made.on_loop()
    return made


def samples(families: list[Metric]) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by their labels' values, by name."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found
