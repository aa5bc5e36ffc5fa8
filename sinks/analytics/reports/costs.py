"""What messages cost: as the provider told it, estimated where it did not, and per delivered message."""

from decimal import Decimal
from typing import TYPE_CHECKING

from sinks.analytics.facts import ATTEMPTS
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.table import Asked, Report, Value, Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_MEASURES = ("attempts", "delivered", "segments", "priced", "priced_segments", "unpriced_segments", "price")


class _Sums:
    """Of one row of the report. Costs by currency; almost always there is one."""

    def __init__(self) -> None:
        self.attempts = self.delivered = self.segments = self.priced = self.unpriced_segments = 0
        self.priced_segments: dict[str, int] = {}
        self.told: dict[str, Decimal] = {}

    def add(self, unit: str, row: tuple[int, int, int, int, int, int, Decimal]) -> None:
        attempts, delivered, segments, priced, priced_segments, unpriced_segments, price = row
        self.attempts += attempts
        self.delivered += delivered
        self.segments += segments
        self.priced += priced
        self.unpriced_segments += unpriced_segments
        if priced:
            self.priced_segments[unit] = self.priced_segments.get(unit, 0) + priced_segments
            # A price is negative where it is a cost.
            self.told[unit] = self.told.get(unit, Decimal(0)) - price


def costs(client: "Client", asked: Asked) -> Report:
    """One row per group and currency in it.

    `estimated` is for segments a carrier took whose price was not told: at the told cost per segment of the
    same row, else of all rows together; None when none was told in any, or the row has several currencies.
    """
    by = chosen(asked, ATTEMPTS, ("country", "channel"), without=("price_unit", "error_code", "error_class"))
    groups, everything = counted(client, asked.window, by)
    rows: list[tuple[Value, ...]] = []
    for group, sums in sorted(groups.items()):
        for unit in sorted(sums.told) or sorted(everything.told)[:1] or [""]:
            told = sums.told.get(unit, Decimal(0))
            estimated = _estimated(sums, everything, unit)
            total = None if estimated is None else told + estimated
            per_delivered = total / sums.delivered if total is not None and sums.delivered else None
            rows.append(
                (
                    *group,
                    sums.attempts,
                    sums.delivered,
                    sums.segments,
                    sums.priced,
                    unit,
                    _money(told),
                    _money(estimated),
                    _money(total),
                    _money(per_delivered),
                )
            )
    columns = (
        *by,
        "attempts",
        "delivered",
        "segments",
        "priced",
        "currency",
        "told",
        "estimated",
        "cost",
        "cost_per_delivered",
    )
    return Report("What messages cost", columns, tuple(rows))


def counted(
    client: "Client", window: Window, by: tuple[str, ...]
) -> tuple[dict[tuple[Value, ...], _Sums], _Sums]:
    """The sums of each group, and of all."""
    groups: dict[tuple[Value, ...], _Sums] = {}
    everything = _Sums()
    for row in figures(client, ATTEMPTS, window, (*by, "price_unit"), _MEASURES):
        group, unit, sums = row[: len(by)], row[len(by)], row[len(by) + 1 :]
        for one in (groups.setdefault(group, _Sums()), everything):
            one.add(unit, sums)
    return groups, everything


def _estimated(sums: _Sums, everything: _Sums, unit: str) -> Decimal | None:
    if not sums.unpriced_segments:
        return Decimal(0)
    if len(sums.told) > 1:
        return None
    source = sums if sums.priced_segments.get(unit) else everything
    segments = source.priced_segments.get(unit, 0)
    return source.told[unit] / segments * sums.unpriced_segments if segments else None


def _money(amount: Decimal | None) -> float | None:
    """To a millionth, as prices come."""
    return None if amount is None else round(float(amount), 6)
