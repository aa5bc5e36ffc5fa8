"""Makes the rows by hour anew from the raw tables, a day at a time (migration 0004).

Guarantees: nothing is removed, and what is there already collapses with its copy; so it may be done any
number of times, also beside the sink, and a crash costs only what was done of its day. Reports are right at
once, as the hours become live, and fast again when `rollups` has summed them.
Leaves to whoever deletes single rows of the raw tables to delete them from the *_by_hour ones too.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sinks.analytics.errors import MigrationError
from sinks.analytics.statements import command, now, proceed, progress, query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DAY_MS = 86_400_000
END_OF_TIME_MS = 4_102_444_800_000
# Days in one call beside the landing, whose batches wait meanwhile.
DAYS_AT_ONCE = 4
# A price may be told long after the request.
_PRICED_LATE_MS = 8 * DAY_MS
_BACKFILL, _BACKFILLED = "backfill", "backfilled"


class _Copy(NamedTuple):
    """A view that copies: what it fills, what it reads, and the time of those rows."""

    view: str
    target: str
    source: str
    time: str
    late_ms: int = 0


_COPIES = (
    _Copy("messages_into_hours", "messages_by_hour", "messages", "requested_at"),
    _Copy("notifications_into_hours", "notifications_by_hour", "notifications", "requested_at"),
    _Copy("notifications_into_sends", "sends_by_person", "notifications", "requested_at"),
    _Copy("statuses_into_prices", "told_prices", "status_events", "received_at", _PRICED_LATE_MS),
    _Copy("statuses_into_providers", "sender_providers", "status_events", "received_at", _PRICED_LATE_MS),
)


def rebuild(
    client: "Client",
    since: int = 0,
    until: int = END_OF_TIME_MS,
    tell: Callable[[str], None] = lambda day: None,
) -> int:
    """Make anew what belongs to requests in [since, until), milliseconds; returns the days that had rows.

    `tell` hears each day (ISO 8601) when it is done. Raises what clickhouse-connect raises; then call it
    again. MigrationError when a view is not there.
    """
    days = 0
    latest = max(copy.late_ms for copy in _COPIES)
    for start in _days(client, since, until + latest):
        for copy in _COPIES:
            first, end = max(start, since), min(start + DAY_MS, until + copy.late_ms)
            if first < end:
                _copy(client, copy, first, end)
        days += 1
        tell(datetime.fromtimestamp(start / 1000, UTC).date().isoformat())
    # Also hours that have lost all their rows.
    command(
        client,
        "INSERT INTO touched_hours SELECT hour, now64(6) FROM refreshed_hours FINAL "  # noqa: S608 - numbers
        f"WHERE hour >= toDateTime({since // 1000}, 'UTC') AND hour < toDateTime({until // 1000}, 'UTC')",
    )
    return days


def backfilled(client: "Client") -> bool:
    """Whether all that landed before the tables by hour were there is in them; if not, some more days of it
    are.

    What lands meanwhile gets there by the views. Raises as `rebuild`.
    """
    if progress(client, _BACKFILLED):
        return True
    for done, start in enumerate(_days(client, progress(client, _BACKFILL) // 1000, END_OF_TIME_MS)):
        if done == DAYS_AT_ONCE:
            return False
        for copy in _COPIES:
            _copy(client, copy, start, start + DAY_MS)
        proceed(client, _BACKFILL, (start + DAY_MS) * 1000)
    proceed(client, _BACKFILLED, now(client))
    return True


def _days(client: "Client", since: int, until: int) -> Iterator[int]:
    """The beginning of each day in which a raw table has rows, in milliseconds, in order."""
    at = since // DAY_MS * DAY_MS
    while True:
        firsts = []
        for source, time in sorted({(copy.source, copy.time) for copy in _COPIES}):
            (row,) = query(
                client,
                f"SELECT toUnixTimestamp64Milli(min({time})), count() FROM {source} "  # noqa: S608 - numbers
                f"WHERE {_within(time, at, until)}",
            )
            firsts += [int(row[0])] if row[1] else []
        if not firsts:
            return
        day = min(firsts) // DAY_MS * DAY_MS
        yield day
        at = day + DAY_MS


def _copy(client: "Client", copy: _Copy, since: int, until: int) -> None:
    # The view's own words, read from the raw table's standing rows instead of from new ones.
    select, reads = re.subn(
        rf"\bFROM (?:\S+\.)?`?{copy.source}`?(?=\s|$)",
        f"FROM (SELECT * FROM {copy.source} FINAL WHERE {_within(copy.time, since, until)}) "  # noqa: S608
        f"AS {copy.source}",
        _one(client, f"as_select FROM system.tables WHERE name = '{copy.view}'", copy.view),
    )
    if reads != 1:
        raise MigrationError(
            f"the view {copy.view} does not read {copy.source} once: run the migrations again"
        )
    columns = _one(
        client,
        f"arrayStringConcat(groupArray(name), ', ') FROM system.columns WHERE table = '{copy.target}'",
        copy.target,
    )
    command(client, f"INSERT INTO {copy.target} ({columns}) SELECT {columns} FROM ({select})")  # noqa: S608


def _within(time: str, since: int, until: int) -> str:
    return f"{time} >= fromUnixTimestamp64Milli({since}) AND {time} < fromUnixTimestamp64Milli({until})"


def _one(client: "Client", what: str, of: str) -> str:
    rows = query(client, f"SELECT {what} AND database = currentDatabase()")
    if not rows or not rows[0][0]:
        raise MigrationError(f"{of} is not there: run notifystream analytics migrate")
    return str(rows[0][0])
