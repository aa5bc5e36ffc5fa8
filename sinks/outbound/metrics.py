"""Every metric of an outbound process, in one table, and how it is shown to Prometheus.

Guarantees: labels are closed lists or our own senders, which are no person's numbers; nothing of a recipient
becomes one. Counts are plain numbers until somebody asks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from prometheus_client.metrics_core import Metric

from schemas.records import SenderState
from schemas.vocabulary import CommandResult
from sinks.outbound.books import Books, FetchEnd
from sinks.outbound.watching import Place, Watching
from streams.collecting import LoopCollector, counter, gauge
from streams.progress import Progress

States = Callable[[int], Iterator[SenderState]]


class Name(StrEnum):
    QUEUE = "outbound_queue_commands"
    QUEUE_AGE = "outbound_queue_age_seconds"
    RATE = "outbound_segments_per_second"
    SET_RATE = "outbound_set_segments_per_second"
    TOKENS = "outbound_tokens"
    SPENT = "outbound_spent_today_segments"
    CAP = "outbound_daily_cap_segments"
    IN_FLIGHT = "outbound_in_flight"
    IN_DOUBT = "outbound_in_doubt"
    DOUBT_AGE = "outbound_doubt_age_seconds"
    HELD = "outbound_held"
    PAUSED = "outbound_paused"
    RESULTS = "outbound_results"
    FETCHES = "outbound_fetches"
    JOURNAL = "outbound_journal_entries"
    TURNS = "outbound_turns"
    COMMIT_AGE = "outbound_commit_age_seconds"
    PARTITIONS = "outbound_partitions"
    LAG = "outbound_lag_records"
    STUCK = "outbound_stuck"


HELP = {
    # What waits in the topics behind a full queue is not in it: see outbound_lag_records.
    Name.QUEUE: "Commands that wait for their turn, by sender and lane.",
    # Urgent above some seconds: the sender's rate is too small for its load, or it is held up.
    Name.QUEUE_AGE: "Age of the oldest command that waits, by sender and lane; 0 when none does.",
    # Below the set rate: the provider or a carrier asked to slow down.
    Name.RATE: "Segments per second that the sender may send now.",
    Name.SET_RATE: "Segments per second that the sender is set to.",
    Name.TOKENS: "Segments that could go at once; negative after a long text.",
    Name.SPENT: "Segments of the carrier's day that are spent.",
    Name.CAP: "Segments of a day at most; no sample where there is no cap.",
    Name.IN_FLIGHT: "Commands that are called up or under way.",
    Name.IN_DOUBT: "Commands that may have been sent and are being looked for.",
    # Above HOLD_AFTER_S they are held.
    Name.DOUBT_AGE: "Age of the oldest command in doubt; 0 when there is none.",
    # Above 0: a person has to decide; `notifystream held list` shows them.
    Name.HELD: "Commands that were neither found at the provider nor proved absent.",
    # 1 by an operator or by a refusal that a person must mend: `notifystream senders` says why.
    Name.PAUSED: "Pauses that keep a sender's commands waiting, by their scope.",
    Name.RESULTS: "Results of commands, by sender, result and class of error.",
    # Shed: more is asked than FETCHES_PER_S allows; the quiet are asked about again, prices at most thrice.
    Name.FETCHES: "Questions to the provider about single messages, by what became of them.",
    # Grows by what is sent in seven days.
    Name.JOURNAL: "Commands that the journals in memory know.",
    Name.TURNS: "Transactions committed.",
    # Above some seconds: the broker does not take transactions.
    Name.COMMIT_AGE: "How long results have waited to be committed; 0 when none do.",
    Name.PARTITIONS: "Partitions whose senders this process owns.",
    Name.LAG: "Records written and not read yet, by topic, where reading is not held back by full queues.",
    Name.STUCK: "Whether /healthz says that this process does not advance.",
}


class Metrics(LoopCollector):
    """To be registered with prometheus_client."""

    def __init__(
        self,
        states: States,
        books: Books,
        watching: Watching,
        reading: Callable[[], Mapping[Place, Progress]],
        clock: Callable[[], int],
    ) -> None:
        """`clock` is the lanes', in ms since the epoch."""
        super().__init__()
        self._states = states
        self._books = books
        self._watching = watching
        self._reading = reading
        self._clock = clock

    def families(self) -> Iterator[Metric]:
        now = self._clock()
        states = list(self._states(now))
        yield from _of_senders(states)
        yield from _of_lanes(states, now)
        yield _gauge(Name.DOUBT_AGE, ("sender",), {(s.sender,): 0.0 for s in states} | self._doubt_ages(now))
        results = {
            (
                ending.sender,
                ending.result.value,
                ending.error_class.value if ending.error_class else "",
            ): count
            for ending, count in self._books.endings.items()
        }
        yield counter(Name.RESULTS, HELP[Name.RESULTS], ("sender", "result", "error_class"), results)
        fetches = {(end.value,): self._books.fetches[end] for end in FetchEnd}
        yield counter(Name.FETCHES, HELP[Name.FETCHES], ("result",), fetches)
        journals = self._books.journals
        yield _gauge(Name.JOURNAL, (), {(): float(sum(map(len, journals.values())))})
        yield counter(Name.TURNS, HELP[Name.TURNS], (), {(): self._watching.turns})
        yield _gauge(Name.COMMIT_AGE, (), {(): self._watching.commit_age_s()})
        yield _gauge(Name.PARTITIONS, (), {(): float(len(journals))})
        lag: Counter[tuple[str, ...]] = Counter()
        for place, progress in self._reading().items():
            lag[(place.topic,)] += progress.lag
        yield _gauge(Name.LAG, ("topic",), lag)
        yield _gauge(Name.STUCK, (), {(): float(self._watching.trouble() is not None)})

    def _doubt_ages(self, now: int) -> dict[tuple[str, ...], float]:
        ages: dict[tuple[str, ...], float] = {}
        for journal in self._books.journals.values():
            for entry in journal.open_entries():
                if entry.state is CommandResult.IN_DOUBT:
                    age = max(0, now - entry.started_at) / 1000
                    ages[(entry.sender,)] = max(ages.get((entry.sender,), 0.0), age)
        return ages


def _of_senders(states: list[SenderState]) -> Iterator[Metric]:
    values: dict[Name, Callable[[SenderState], float]] = {
        Name.RATE: lambda s: s.segments_per_s,
        Name.SET_RATE: lambda s: s.set_segments_per_s,
        Name.TOKENS: lambda s: s.tokens,
        Name.SPENT: lambda s: s.spent_today,
        Name.IN_FLIGHT: lambda s: s.in_flight,
        Name.IN_DOUBT: lambda s: s.in_doubt,
        Name.HELD: lambda s: s.held,
    }
    for name, value in values.items():
        yield _gauge(name, ("sender",), {(state.sender,): float(value(state)) for state in states})
    caps = {(s.sender,): float(s.daily_segments) for s in states if s.daily_segments is not None}
    yield _gauge(Name.CAP, ("sender",), caps)
    paused: Counter[tuple[str, ...]] = Counter()
    for state in states:
        paused.update((state.sender, pause.scope.value) for pause in state.pauses)
    yield _gauge(Name.PAUSED, ("sender", "scope"), paused)


def _of_lanes(states: list[SenderState], now: int) -> Iterator[Metric]:
    lanes = {(state.sender, lane.lane.value): lane for state in states for lane in state.lanes}
    yield _gauge(Name.QUEUE, ("sender", "lane"), {key: float(lane.waiting) for key, lane in lanes.items()})
    ages = {
        key: 0.0 if lane.oldest_at is None else max(0, now - lane.oldest_at) / 1000
        for key, lane in lanes.items()
    }
    yield _gauge(Name.QUEUE_AGE, ("sender", "lane"), ages)


def _gauge(name: Name, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    return gauge(name.value, HELP[name], labels, values)
