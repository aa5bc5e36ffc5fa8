"""The hourly figures of a window: sums of the hours that are settled and whole in it, rows of the others.

Guarantees: one statement sees each hour once; an hour touched after `live_hours` was asked is read as it was
then. Leaves to each report what the figures say.
"""

import re
from typing import TYPE_CHECKING, Any

from sinks.analytics.errors import UnknownReport
from sinks.analytics.facts import Fact
from sinks.analytics.reports.table import HOUR_S, Asked, Window
from sinks.analytics.rollups import live_hours, one_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# What `hour` and `day` are called in a report, and made of.
_TIMES = {"hour": "formatDateTime(hour, '%Y-%m-%dT%H:00Z', 'UTC')", "day": "toString(toDate(hour, 'UTC'))"}
# For reports only: the hour in seconds since the epoch.
_EXPRESSIONS = _TIMES | {"start": "toUnixTimestamp(hour)"}


def figures(
    client: "Client",
    fact: Fact,
    window: Window,
    by: tuple[str, ...],
    measures: tuple[str, ...],
    where: str = "1",
) -> list[tuple[Any, ...]]:
    """One row per combination of `by` (dimensions, `hour`, `day`, `start`) with the sums, sorted by `by`.

    `where` is a condition on the dimensions. Raises what clickhouse-connect raises.
    """
    first, after = window.whole_hours()
    first_of_all = window.since // (HOUR_S * 1000) * HOUR_S
    live = set(live_hours(client, first_of_all, -(-window.until // 1000))) | set(window.cut_hours())
    by_rows = one_of(sorted(live))
    asked_of = {*by, *re.findall(r"\w+", where)}
    dimensions = asked_of.intersection(fact.dimensions)
    measured = [*measures, *sorted(asked_of.intersection(fact.measures).difference(measures))]
    if window.tenant is not None:
        dimensions.add("tenant")
    columns = ", ".join(["hour", *sorted(dimensions), *measured])
    keys = ", ".join(f"{_EXPRESSIONS.get(name, name)} AS by_{name}" for name in by)
    by_all = ", ".join(f"by_{name}" for name in by)
    order = f"GROUP BY {by_all} ORDER BY {by_all}" if by else ""
    sums = ", ".join(f"{fact.adds}(of_hour.{measure})" for measure in measures)
    sql = f"""
        SELECT {f"{keys}, " if by else ""}{sums} FROM
        (
            SELECT {columns} FROM {fact.table}
            WHERE hour >= toDateTime({first}, 'UTC') AND hour < toDateTime({after}, 'UTC') AND NOT ({by_rows})
                AND (hour, generation) IN (SELECT hour, generation FROM refreshed_hours FINAL)
            UNION ALL
            SELECT {columns} FROM ({fact.rows(by_rows, window.within("requested_at"))})
        ) AS of_hour
        WHERE ({where}){"" if window.tenant is None else " AND tenant = {tenant:String}"}
        {order}
        """  # noqa: S608 - of constants and numbers; what is asked for travels as a parameter
    parameters = {} if window.tenant is None else {"tenant": window.tenant}
    return [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]


def chosen(
    asked: Asked, fact: Fact, usual: tuple[str, ...], without: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """What the rows are to be by. Raises UnknownReport when it is nothing these figures are sorted out by."""
    possible = [name for name in (*fact.dimensions, *_TIMES) if name not in without]
    unknown = [name for name in asked.by if name not in possible]
    if unknown:
        raise UnknownReport(
            f"this report cannot be by {', '.join(unknown)}; it can be by: {', '.join(possible)}"
        )
    return asked.by or usual
