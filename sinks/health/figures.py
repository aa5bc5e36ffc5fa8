"""What every route delivered in a window and in the time before it, in one query.

Guarantees: exact figures of this moment, read with the view `route_attempts`, which says what counts. A
message counts as delivered when that was so within the grace after the provider took it, in both spans alike;
what came later is silent in both. Leaves to the caller: which spans, and a ClickHouse that does not answer.
"""

from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.records import RouteError
from sinks.health.decide import Counts
from sinks.health.telling import Figures, Route, Spans

# A message is not taken by the provider longer than this after its request (deferrals end within days).
_OLDEST_REQUEST_DAYS = 31
_QUERY = f"""
WITH
    taken_at >= {{start:DateTime64(3)}} AS now,
    ifNull(arrived_at <= addMilliseconds(taken_at, {{grace:Int64}}), 0) AS in_time
SELECT
    tenant, sender, carrier, country,
    countIf(now AND in_time), countIf(now AND has_failed), countIf(now AND NOT in_time AND NOT has_failed),
    countIf(NOT now AND in_time), countIf(NOT now AND has_failed),
    countIf(NOT now AND NOT in_time AND NOT has_failed),
    sumMapIf(map(error_code, toUInt64(1)), now AND has_failed)
FROM route_attempts
WHERE taken_at >= {{before:DateTime64(3)}} AND taken_at < {{end:DateTime64(3)}}
    AND requested_at >= subtractDays({{before:DateTime64(3)}}, {_OLDEST_REQUEST_DAYS})
GROUP BY tenant, sender, carrier, country
"""  # noqa: S608 - of a constant; the times travel as parameters


def figures(client: Client, spans: Spans) -> dict[Route, Figures]:
    """By route, of all that had a message in either span. Raises what clickhouse-connect raises."""
    parameters = {
        "before": _seconds(spans.before),
        "start": _seconds(spans.start),
        "end": _seconds(spans.end),
        "grace": spans.grace_ms,
    }
    # Copies of a message share its partition, which is of its request: each is read apart.
    settings = {"do_not_merge_across_partitions_select_final": 1}
    rows = client.query(_QUERY, parameters=parameters, settings=settings).result_rows
    return dict(_read(tuple(row)) for row in rows)


def _read(row: tuple[Any, ...]) -> tuple[Route, Figures]:
    counts = [int(count) for count in row[4:10]]
    errors = [RouteError(code=int(code), count=int(count)) for code, count in row[10].items()]
    errors.sort(key=lambda each: (-each.count, each.code))
    return Route(*map(str, row[:4])), Figures(Counts(*counts[:3]), Counts(*counts[3:]), tuple(errors))


def _seconds(at_ms: int) -> str:
    """As DateTime64 reads it whatever the zone of the server: seconds since the epoch."""
    return f"{at_ms // 1000}.{at_ms % 1000:03}"
