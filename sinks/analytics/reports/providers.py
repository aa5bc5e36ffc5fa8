"""Providers side by side, by country: what they deliver, how fast, for how much."""

from decimal import Decimal
from typing import TYPE_CHECKING

from sinks.analytics.facts import ATTEMPTS, ENDINGS
from sinks.analytics.reports.deliverability import with_a_chance
from sinks.analytics.reports.figures import figures
from sinks.analytics.reports.latency import histograms, summary
from sinks.analytics.reports.statistics import share
from sinks.analytics.reports.table import Asked, Report, Value

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

UNKNOWN = "unknown"
_MEASURES = ("attempts", *ENDINGS, "priced_segments", "price")


def providers(client: "Client", asked: Asked) -> Report:
    """By country and provider, which is that of the sender's statuses; unknown before the first of them.

    Latency: from the carrier's taking it to its delivery. Costs: of the segments whose price was told.
    """
    of = _providers(client)
    groups: dict[tuple[Value, ...], list[int]] = {}
    costs: dict[tuple[Value, ...], dict[str, tuple[int, Decimal]]] = {}
    for row in figures(client, ATTEMPTS, asked.window, ("country", "sender", "price_unit"), _MEASURES):
        country, sender, unit, *counts, segments, price = row
        group: tuple[Value, ...] = (country, of.get(sender, UNKNOWN))
        sums = groups.setdefault(group, [0] * len(counts))
        groups[group] = [before + more for before, more in zip(sums, counts, strict=True)]
        if segments:
            before_segments, before_price = costs.setdefault(group, {}).get(unit, (0, Decimal(0)))
            costs[group][unit] = (before_segments + segments, before_price - price)
    spans: dict[tuple[Value, ...], dict[int, int]] = {}
    for (place, number), by_span in histograms(client, asked.window, ("country", "sender")).items():
        buckets = spans.setdefault((place, of.get(str(number), UNKNOWN)), {})
        for bucket, count in by_span.get("sent_to_delivered", []):
            buckets[bucket] = buckets.get(bucket, 0) + count
    rows: list[tuple[Value, ...]] = []
    for group, (attempts, *endings) in sorted(groups.items()):
        ended = with_a_chance(attempts, tuple(endings))
        _, median, slowest = summary(sorted(spans.get(group, {}).items()), (0.5, 0.9))
        each = "; ".join(
            f"{price / n:.6f} {unit}" for unit, (n, price) in sorted(costs.get(group, {}).items())
        )
        rows.append((*group, attempts, *endings, *share(endings[0], ended), median, slowest, each or None))
    columns = (
        "country",
        "provider",
        "attempts",
        *ENDINGS,
        "delivered_percent",
        "low_percent",
        "high_percent",
        "sent_to_delivered_p50_s",
        "sent_to_delivered_p90_s",
        "cost_per_segment",
    )
    title = "Providers by country; low and high: Wilson, 95 %"
    return Report(title, columns, tuple(rows), (*ENDINGS, "sent_to_delivered_p90_s"))


def _providers(client: "Client") -> dict[str, str]:
    """By sender; of one that has moved, all its providers."""
    sql = """
        SELECT sender, arrayStringConcat(arraySort(groupUniqArray(provider)), '+')
        FROM sender_providers GROUP BY sender
        """
    return {str(sender): str(provider) for sender, provider in client.query(sql).result_rows}
