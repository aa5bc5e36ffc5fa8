"""Sums whole hours again when they were touched, and says which hours' sums may be read (migration 0004).

Guarantees: a sum that stands equals the rows it was made of, whatever order they came in; a crash at any
moment leaves an hour's old sums or its new ones; any number of processes may refresh at once, at the cost
of some work done twice. Between a touch and its refresh, readers take the hour's rows (`live_hours`), which
are exact. One figure waits: a price is counted from the next refresh on; until then its message counts as
not priced.
Leaves to `facts` what is summed, to `rebuilding` the rows by hour themselves, to the sink when.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sinks.analytics.facts import FACTS
from sinks.analytics.rebuilding import backfilled
from sinks.analytics.statements import command, now, proceed, progress, query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_UTC = "'UTC'"
# How long an insert may take from its first row to being visible, above which an hour could be taken for
# settled with a row of it still on the way: twice what the sink waits for an insert.
SETTLES_MS = 120_000
# Hours per generation: enough to pay for reading, few enough for memory and for the sink's patience.
HOURS_AT_ONCE = 24
# A refresher is done with a generation after this; older ones that do not stand were left by a crash.
_ABANDONED_US = 3_600_000_000
_PRICES = "prices"
_PRICES_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a call did: hours summed again, and touched ones left, too fresh or too many, for later calls.

    `behind` when there is more that could be done at once.
    """

    hours: int
    left: int
    behind: bool = False


def live_hours(client: "Client", since_s: int, until_s: int) -> tuple[int, ...]:
    """The hours that begin in [since, until) and are to be read row by row now. Seconds since the epoch."""
    rows = query(
        client,
        "SELECT toUnixTimestamp(hour) AS start FROM live_hours "  # noqa: S608 - numbers
        f"WHERE start >= {since_s} AND start < {until_s}",
    )
    return tuple(sorted(int(start) for (start,) in rows))


def refresh(client: "Client", *, settles_ms: int = SETTLES_MS, limit: int = HOURS_AT_ONCE) -> Refreshed:
    """Sum up to `limit` touched hours again, of those not touched for `settles_ms`; 0 when nobody else
    writes.

    Idempotent; takes about the time it takes to read those hours. The first calls of all also fill the tables
    by hour with what landed before they were there, some days each.
    Raises what clickhouse-connect raises; then nothing stands that is not whole.

    Step 1, prices given to hours: given again by the next call, as the same rows.
    Step 2, sums written as a generation nobody reads yet: a crash leaves it for `_tidy`.
    Step 3, the generation made to stand, in one block: these hours are read from it, until they are touched.
    Step 4, generations that no longer stand deleted: the next call that sums deletes them as well.
    """
    filled = backfilled(client)
    # Whatever was touched before this moment is visible by now.
    as_of = now(client) - settles_ms * 1000
    _price_hours(client, as_of)
    waiting = [
        int(start)
        for (start,) in query(client, "SELECT toUnixTimestamp(hour) FROM live_hours ORDER BY hour DESC")
    ]
    quiet = {
        int(start)
        for (start,) in query(
            client,
            "SELECT toUnixTimestamp(hour) FROM touched_hours GROUP BY hour "  # noqa: S608 - a number
            f"HAVING toUnixTimestamp64Micro(max(touched_at)) < {as_of}",
        )
    }
    ready = [hour for hour in waiting if hour in quiet][:limit]
    if ready:
        _sum_up(client, ready, as_of)
        _tidy(client)
    return Refreshed(len(ready), len(waiting) - len(ready), not filled or len(ready) == limit)


def _sum_up(client: "Client", hours: Sequence[int], as_of: int) -> None:
    # Nobody else has this number: microseconds, then eleven bits of chance.
    generation = (now(client) << 11) | secrets.randbits(11)
    among = one_of(hours)
    for fact in FACTS:
        by = ", ".join(fact.dimensions)
        sums = ", ".join(f"{fact.adds}(fact.{measure}) AS {measure}" for measure in fact.measures)
        command(
            client,
            f"INSERT INTO {fact.table} (hour, generation, {by}, {', '.join(fact.measures)}) "  # noqa: S608
            f"SELECT hour, {generation}, {by}, {sums} FROM ({fact.rows(among)}) AS fact GROUP BY hour, {by}",
        )
    command(
        client,
        "INSERT INTO refreshed_hours SELECT arrayJoin("
        f"[{', '.join(f'toDateTime({hour}, {_UTC})' for hour in hours)}]) AS hour, "
        f"{generation} AS generation, fromUnixTimestamp64Micro({as_of}) AS as_of",
    )


def _price_hours(client: "Client", as_of: int) -> None:
    """Give the prices told since the last call to the hours of their notifications.

    Those whose notification has not landed yet are noted again, until told_prices forgets them after a week.
    """
    since = progress(client, _PRICES)
    new = f"noted_at >= fromUnixTimestamp64Micro({since})"
    (count,) = query(client, f"SELECT count() FROM told_prices WHERE {new}")[0]  # noqa: S608 - a number
    for part in _id_ranges(count):
        _price_range(client, f"{new} AND {part}", part, as_of)
    if as_of > since:
        proceed(client, _PRICES, as_of)


def _price_range(client: "Client", new: str, ids: str, as_of: int) -> None:
    landed = f"""
        SELECT DISTINCT notification_id, requested_at FROM notifications
        WHERE {ids} AND notification_id IN (SELECT notification_id FROM told_prices WHERE {new})
        """  # noqa: S608 - numbers
    command(
        client,
        f"""
        INSERT INTO prices_by_hour (hour, notification_id, attempt, price, price_unit, told_at)
        SELECT
            toDateTime(toStartOfHour(n.requested_at), 'UTC') AS hour,
            p.notification_id, p.attempt, p.price, p.price_unit, p.told_at
        FROM (SELECT * FROM told_prices WHERE {new}) AS p
        INNER JOIN ({landed}) AS n ON n.notification_id = p.notification_id
        """,  # noqa: S608 - numbers
    )
    command(
        client,
        f"""
        INSERT INTO told_prices (notification_id, attempt, price, price_unit, told_at, noted_at)
        SELECT notification_id, attempt, price, price_unit, told_at, now64(6) FROM told_prices FINAL
        WHERE {new} AND noted_at < fromUnixTimestamp64Micro({as_of}) AND told_at > now() - INTERVAL 7 DAY
            AND notification_id NOT IN (SELECT notification_id FROM ({landed}))
        """,  # noqa: S608 - numbers
    )


def _id_ranges(rows: int) -> list[str]:
    """Conditions that part this many rows into pieces that fit in memory, by the beginning of their ids.

    Ids are hexadecimal and even; what is not falls into one range all the same.
    """
    digits = math.ceil(math.log(max(1, rows / _PRICES_AT_ONCE), 16))
    starts = [f"{number:0{digits}x}" for number in range(1, 16**digits)] if digits else []
    ranges = []
    for low, high in zip([None, *starts], [*starts, None], strict=True):
        above = "1" if low is None else f"notification_id >= '{low}'"
        ranges.append(above if high is None else f"{above} AND notification_id < '{high}'")
    return ranges


def _tidy(client: "Client") -> None:
    """Delete generations that do not stand, once they are a third of a table."""
    standing = "(hour, generation) IN (SELECT hour, generation FROM refreshed_hours FINAL)"
    over = (now(client) - _ABANDONED_US) << 11
    for fact in FACTS:
        fallen, rows = query(
            client,
            f"SELECT countIf(NOT {standing} AND generation < {over}), count() FROM {fact.table}",  # noqa: S608
        )[0]
        if fallen * 3 > rows:
            command(client, f"DELETE FROM {fact.table} WHERE NOT {standing} AND generation < {over}")  # noqa: S608


def one_of(hours: Sequence[int]) -> str:
    """The condition that `hour` is one of these, in seconds since the epoch."""
    return f"hour IN ({', '.join(f'toDateTime({hour}, {_UTC})' for hour in hours)})" if hours else "0"
