"""Every metric of a stream-processing process, in one table, and how it is shown to Prometheus.

Guarantees: labels are closed lists or our own topics: nothing from outside becomes one. Leaves to
`collecting` that values are read where they change.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from prometheus_client.metrics_core import Metric

from streams.collecting import LoopCollector, counter, gauge
from streams.counts import Counts
from streams.engine import Engine
from streams.outputs import Outputs
from streams.table import Table


class Name(StrEnum):
    EVENTS = "streams_events"
    LAG = "streams_lag_records"
    COMMIT_AGE = "streams_commit_age_seconds"
    TRANSACTIONS = "streams_transactions"
    BACKLOG = "streams_outputs_backlog"
    PARTITIONS = "streams_partitions"
    RECOVERING = "streams_recovering"
    ROWS = "streams_table_rows"
    TIMERS = "streams_timers_pending"
    FIRED = "streams_timers_fired"
    LATE = "streams_timers_late_seconds"
    CONFLICTS = "streams_fold_conflicts"
    VERDICTS = "streams_verdicts"
    DEAD_LETTERS = "streams_dead_letters"
    STUCK = "streams_stuck"


HELP = {
    Name.EVENTS: "Events handled, by topic.",
    # Growing for minutes: too few processes, or one that does not advance (see streams_stuck).
    Name.LAG: "Records written and not handled yet, by topic, of the partitions of this process.",
    # Above some seconds: the broker does not take transactions.
    Name.COMMIT_AGE: "Time since everything written was last known to be committed.",
    Name.TRANSACTIONS: "Transactions committed.",
    Name.BACKLOG: "Writes that wait behind a commit.",
    Name.PARTITIONS: "Partition numbers whose rows are here.",
    Name.RECOVERING: "Whether rows are being recovered: 1 for long after a restart means a large changelog.",
    Name.ROWS: "Rows of the partitions of this process, by changelog.",
    Name.TIMERS: "Rows that wait for a deadline, by changelog.",
    Name.FIRED: "Deadlines that came and were written as ticks.",
    # Above a second in quiet times: the process does not get to its timers.
    Name.LATE: "How late the latest deadline fired.",
    # A carrier reported a good and a bad end of one message. Some per cent are usual.
    Name.CONFLICTS: "Statuses that contradicted an end reported before.",
    Name.VERDICTS: "Admission verdicts, by verdict and reason.",
    # Rising: somebody writes what the schemas do not allow; `notifystream deadletters list` shows it.
    Name.DEAD_LETTERS: "Records put aside, by stage and reason.",
    Name.STUCK: "Whether /healthz says that this process does not advance.",
}


class Metrics(LoopCollector):
    """To be registered with prometheus_client."""

    def __init__(
        self,
        engine: Engine,
        outputs: Outputs,
        tables: Sequence[Table[Any]],
        counts: Counts,
        recovering: Callable[[], bool],
        stuck: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._engine = engine
        self._outputs = outputs
        self._tables = tables
        self._counts = counts
        self._recovering = recovering
        self._stuck = stuck

    def families(self) -> Iterator[Metric]:
        counts, outputs = self._counts, self._outputs
        yield _counter(Name.EVENTS, ("topic",), {(topic,): n for topic, n in counts.events.items()})
        lag: dict[tuple[str, ...], float] = {}
        for tp, progress in self._engine.progress().items():
            lag[(tp.topic,)] = lag.get((tp.topic,), 0) + progress.lag
        yield _gauge(Name.LAG, ("topic",), lag)
        age = time.monotonic() - outputs.committed_at if outputs.dirty else 0.0
        yield _gauge(Name.COMMIT_AGE, (), {(): age})
        yield _counter(Name.TRANSACTIONS, (), {(): outputs.transactions})
        yield _gauge(Name.BACKLOG, (), {(): outputs.backlog})
        yield _gauge(Name.PARTITIONS, (), {(): len(self._engine.ready)})
        yield _gauge(Name.RECOVERING, (), {(): float(self._recovering())})
        yield _gauge(Name.ROWS, ("changelog",), {(t.changelog,): t.rows for t in self._tables})
        yield _gauge(Name.TIMERS, ("changelog",), {(t.changelog,): t.timers for t in self._tables})
        yield _counter(Name.FIRED, (), {(): counts.fired})
        yield _gauge(Name.LATE, (), {(): counts.late_ms / 1000})
        yield _counter(Name.CONFLICTS, (), {(): counts.conflicts})
        yield _counter(Name.VERDICTS, ("verdict", "reason"), dict(counts.verdicts))
        yield _counter(Name.DEAD_LETTERS, ("stage", "reason"), dict(counts.dead_letters))
        yield _gauge(Name.STUCK, (), {(): float(self._stuck())})


def _gauge(name: Name, labels: tuple[str, ...], values: dict[Any, float]) -> Metric:
    return gauge(name.value, HELP[name], labels, values)


def _counter(name: Name, labels: tuple[str, ...], values: dict[Any, int]) -> Metric:
    return counter(name.value, HELP[name], labels, values)
