"""How long it takes from the request to the carrier, and from the carrier to the person."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sinks.analytics.facts import LATENCIES
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.statistics import quantile
from sinks.analytics.reports.table import Asked, Report, Value, Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SPANS = ("requested_to_sent", "sent_to_delivered")
LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

Histograms = dict[tuple[Value, ...], dict[str, list[tuple[int, int]]]]


def histograms(client: "Client", window: Window, by: tuple[str, ...]) -> Histograms:
    """Counts by bucket, in the buckets' order, by span, by what is asked."""
    found: Histograms = {}
    for *group, span, latencies in figures(client, LATENCIES, window, (*by, "span"), ("latencies",)):
        found.setdefault(tuple(group), {})[span] = sorted(latencies.items())
    return found


def summary(histogram: list[tuple[int, int]], levels: Iterable[float] = LEVELS.values()) -> tuple[Value, ...]:
    """How many, and the quantiles in seconds."""
    return (sum(count for _, count in histogram), *(quantile(histogram, level) for level in levels))


def latency(client: "Client", asked: Asked) -> Report:
    by = chosen(asked, LATENCIES, ("country", "carrier"), without=("span",))
    rows = tuple(
        (*group, *(value for span in SPANS for value in summary(spans.get(span, []))))
        for group, spans in sorted(histograms(client, asked.window, by).items())
    )
    columns = [f"{span}_{what}" for span in SPANS for what in ("count", *(f"{level}_s" for level in LEVELS))]
    return Report(
        f"How long it takes, by {', '.join(by)} (to within 2.5 %)",
        (*by, *columns),
        rows,
        tuple(f"{span}_p90_s" for span in SPANS),
    )
