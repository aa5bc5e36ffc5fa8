"""What analysts ask first, as named reports over the views.

Guarantees: exact figures of this moment (a quantile is the element at floor(level × n) of the sorted values);
an attempt counts in the window when its command is in it, a latency when its request is.
Leaves to the console how they look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from sinks.analytics.error_meanings import meaning_of
from sinks.analytics.errors import UnknownReport

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Value: TypeAlias = str | int | float | None


class ReportName(StrEnum):
    CARRIERS = "carriers"
    COUNTRIES = "countries"
    ERRORS = "errors"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Report:
    """A table: every row has one value per column. Percentages are 0 to 100, durations seconds."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class _Window:
    since: datetime
    until: datetime
    tenant: str | None

    def where(self, time_column: str) -> str:
        """The condition, for `parameters`."""
        in_time = f"{time_column} >= {{since:DateTime64(3)}} AND {time_column} < {{until:DateTime64(3)}}"
        return in_time if self.tenant is None else f"{in_time} AND tenant = {{tenant:String}}"

    def parameters(self) -> dict[str, str]:
        times = {"since": _seconds(self.since), "until": _seconds(self.until)}
        return times if self.tenant is None else times | {"tenant": self.tenant}


def report(
    client: "Client",
    name: str,
    since: datetime,
    *,
    until: datetime | None = None,
    tenant: str | None = None,
) -> Report:
    """The report of this name over [since, until), until now without an end. Times with a zone.

    Raises UnknownReport, and what clickhouse-connect raises for a query.
    """
    try:
        make = _REPORTS[ReportName(name)]
    except ValueError as unknown:
        raise UnknownReport(
            f"there is no report {name!r}; the reports are: {', '.join(ReportName)}"
        ) from unknown
    return make(client, _Window(since, until or datetime(2100, 1, 1, tzinfo=UTC), tenant))


_ENDINGS = ("delivered", "undelivered", "failed", "unconfirmed", "held", "not_sent", "open")


def _deliverability(client: "Client", window: _Window, title: str, by: tuple[str, ...]) -> Report:
    counts = ", ".join(f"countIf(ending = '{ending}')" for ending in _ENDINGS)
    rows = _query(
        client,
        f"""
        SELECT {", ".join(by)}, count() AS attempts, {counts}, sum(segments)
        FROM message_endings WHERE {window.where("commanded_at")}
        GROUP BY {", ".join(by)} ORDER BY attempts DESC, {", ".join(by)}
        """,  # noqa: S608 - of constants; what is asked for travels as parameters
        window,
    )
    # Of what had the chance: what is still on its way or was never sent says nothing about a carrier.
    at = len(by)
    settled = [
        row[at] - row[at + _ENDINGS.index("open") + 1] - row[at + _ENDINGS.index("not_sent") + 1]
        for row in rows
    ]
    return Report(
        title,
        (*by, "attempts", *_ENDINGS, "segments", "delivered_percent"),
        tuple((*row, _percent(row[at + 1], ended)) for row, ended in zip(rows, settled, strict=True)),
    )


def _carriers(client: "Client", window: _Window) -> Report:
    return _deliverability(
        client, window, "Deliverability by carrier", ("country", "carrier", "carrier_source")
    )


def _countries(client: "Client", window: _Window) -> Report:
    return _deliverability(client, window, "Deliverability by country", ("country",))


def _errors(client: "Client", window: _Window) -> Report:
    rows = _query(
        client,
        f"""
        SELECT error_code, any(error_class), count() AS messages, topK(3)(concat(country, ' ', carrier))
        FROM message_endings WHERE ending IN ('undelivered', 'failed') AND {window.where("commanded_at")}
        GROUP BY error_code ORDER BY messages DESC, error_code
        """,  # noqa: S608 - as above
        window,
    )
    total = sum(row[2] for row in rows)
    return Report(
        "Why attempts failed",
        ("error", "messages", "percent", "class", "meaning", "what_to_do", "most_at"),
        tuple(
            (
                code or "none",
                messages,
                _percent(messages, total),
                error_class,
                meaning_of(code).meaning,
                meaning_of(code).what_to_do,
                ", ".join(carriers),
            )
            for code, error_class, messages, carriers in rows
        ),
    )


def _latency(client: "Client", window: _Window) -> Report:
    columns: list[str] = []
    rows: dict[tuple[str, str], list[tuple[Value, ...]]] = {}
    for part, (view, column) in enumerate(
        (("request_latencies", "requested_to_sent"), ("delivery_latencies", "sent_to_delivered"))
    ):
        columns += [f"{column}_count", *(f"{column}_p{level}_s" for level in (50, 90, 99))]
        for country, carrier, count, quantiles in _query(
            client,
            f"""
            SELECT country, carrier, count(), quantilesExact(0.5, 0.9, 0.99)({column}_ms)
            FROM {view} WHERE {window.where("requested")} GROUP BY country, carrier
            """,  # noqa: S608 - as above
            window,
        ):
            figures = rows.setdefault((country, carrier), [(0, None, None, None)] * 2)
            figures[part] = (count, *(quantile / 1000 for quantile in quantiles))
    ordered = sorted(rows.items())
    return Report(
        "How long it takes, by carrier",
        ("country", "carrier", *columns),
        tuple((*carrier, *figures[0], *figures[1]) for carrier, figures in ordered),
    )


_REPORTS: dict[ReportName, Callable[["Client", _Window], Report]] = {
    ReportName.CARRIERS: _carriers,
    ReportName.COUNTRIES: _countries,
    ReportName.ERRORS: _errors,
    ReportName.LATENCY: _latency,
}


def _query(client: "Client", sql: str, window: _Window) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql, parameters=window.parameters()).result_rows]


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _seconds(time: datetime) -> str:
    """As DateTime64 reads it whatever the zone of the server: seconds since the epoch."""
    return f"{time.timestamp():.3f}"
