"""Where rows of one person are: the hashes, the notifications, the tables, and in which order they may go.

Guarantees: only reads. Tables are found by their columns (recipient_hash, notification_id), so one that is
added later is covered without being named here; the passes are in the order in which deleting may stop
anywhere and what is left is still found. Leaves the deleting, and the proof, to `erasure`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PERSON, NOTIFICATION = "recipient_hash", "notification_id"
LINKS, TOUCHED = "recipient_links", "touched_hours"
# Values in one statement: they travel in the URL, which servers bound.
AT_ONCE = 400
_PLAIN = re.compile(r"\w+")


class Table(NamedTuple):
    """A table that may hold rows of a person, by which of the two columns, and whether it knows their
    hour."""

    name: str
    by_person: bool
    by_notification: bool
    by_hour: bool


class Pass(NamedTuple):
    """Some of the rows: a table, a condition and what it compares with."""

    table: str
    where: str
    values: dict[str, list[str]]

    def count(self, client: "Client") -> int:
        """How many there are now, copies that are not yet merged included."""
        sql = f"SELECT count() FROM {quoted(self.table)} WHERE {self.where}"  # noqa: S608 - of constants
        return int(client.query(sql, parameters=self.values).result_rows[0][0])


@dataclass(frozen=True, slots=True)
class Traces:
    """All of one person. `hours` are those, in s since the epoch, whose sums the notifications are in."""

    hashes: tuple[str, ...]
    notifications: tuple[str, ...]
    passes: tuple[Pass, ...]
    hours: tuple[int, ...]


def traces(client: "Client", hashes: Sequence[str]) -> Traces:
    """What there is of the person these hashes stand for. Raises what clickhouse-connect raises."""
    tables = _tables(client)
    linked = _exists(client, LINKS)
    everyone = _linked(client, set(hashes)) if linked else tuple(sorted(set(hashes)))
    notifications = _notifications(client, tables, everyone)
    person = {"hashes": list(everyone)}
    # First what only a notification leads to: the rows with the hash still tell which those are.
    passes = [
        Pass(table.name, _of_notifications(table), (person if table.by_person else {}) | {"some": list(some)})
        for table in tables
        if table.by_notification
        for some in portions(notifications)
    ]
    passes += [
        Pass(table.name, f"{PERSON} IN {{hashes:Array(String)}}", person)
        for table in tables
        if table.by_person
    ]
    if linked:
        # Last: until then the person's other hashes are still found.
        either = "old_hash IN {hashes:Array(String)} OR new_hash IN {hashes:Array(String)}"
        passes.append(Pass(LINKS, either, person))
    hours = _hours(client, tables, notifications) if _exists(client, TOUCHED) else ()
    return Traces(everyone, notifications, tuple(passes), hours)


def portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values, as many at once as a statement may carry."""
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def quoted(table: str) -> str:
    """A table's name as a statement writes it."""
    return table if _PLAIN.fullmatch(table) else "`" + table.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _tables(client: "Client") -> tuple[Table, ...]:
    rows = client.query(
        f"""
        SELECT table, groupUniqArray(name) FROM system.columns
        WHERE database = currentDatabase() AND name IN ('{PERSON}', '{NOTIFICATION}', 'hour') AND table IN
        (
            SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
        )
        GROUP BY table HAVING countIf(name != 'hour') > 0 ORDER BY table
        """  # noqa: S608 - of constants
    ).result_rows
    return tuple(
        Table(str(name), PERSON in columns, NOTIFICATION in columns, {"hour", NOTIFICATION} <= set(columns))
        for name, columns in rows
    )


def _linked(client: "Client", found: set[str]) -> tuple[str, ...]:
    """These hashes and all that were linked to them while the key was changed."""
    while True:
        rows = client.query(
            f"""
            SELECT old_hash, new_hash FROM {LINKS}
            WHERE old_hash IN {{some:Array(String)}} OR new_hash IN {{some:Array(String)}}
            """,  # noqa: S608 - of constants
            parameters={"some": sorted(found)},
        ).result_rows
        more = {str(one) for row in rows for one in row} - found
        if not more:
            return tuple(sorted(found))
        found = found | more


def _notifications(client: "Client", tables: Sequence[Table], hashes: Sequence[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for table in tables:
        if table.by_person and table.by_notification:
            rows = client.query(
                f"""
                SELECT DISTINCT {NOTIFICATION} FROM {quoted(table.name)}
                WHERE {PERSON} IN {{some:Array(String)}} AND {NOTIFICATION} != ''
                """,  # noqa: S608 - of constants and a table's own name
                parameters={"some": list(hashes)},
            ).result_rows
            found.update(str(row[0]) for row in rows)
    return tuple(sorted(found))


def _hours(client: "Client", tables: Sequence[Table], notifications: Sequence[str]) -> tuple[int, ...]:
    hours: set[int] = set()
    for table in tables:
        if table.by_hour:
            for some in portions(notifications):
                rows = client.query(
                    f"""
                    SELECT DISTINCT toUnixTimestamp(hour) FROM {quoted(table.name)}
                    WHERE {NOTIFICATION} IN {{some:Array(String)}}
                    """,  # noqa: S608 - as above
                    parameters={"some": list(some)},
                ).result_rows
                hours.update(int(row[0]) for row in rows)
    return tuple(sorted(hours))


def _of_notifications(table: Table) -> str:
    other = f" AND {PERSON} NOT IN {{hashes:Array(String)}}" if table.by_person else ""
    return f"{NOTIFICATION} IN {{some:Array(String)}}{other}"


def _exists(client: "Client", table: str) -> bool:
    return bool(client.query(f"EXISTS TABLE {table}").result_rows[0][0])
