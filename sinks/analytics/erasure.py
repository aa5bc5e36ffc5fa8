"""Erases one recipient from ClickHouse, and proves it by asking for what is left.

Guarantees: when `erase` returns, no row of any MergeTree table of the database holds the person's hash,
under any of the keys given, or a notification that was for that person; whoever repeats it erases nothing
more. Tables are found by their columns (recipient_hash, notification_id), so one that is added later is
covered without being named here. Rows are rewritten away by mutations that are waited for, not only masked:
an erased row is gone from the disk as soon as ClickHouse drops the parts it has replaced
(old_parts_lifetime, 8 minutes by default). Sums of hours are made again without the person. Not touched:
backups; and Kafka, where records age out by their topics' retention, so that whatever lands of them later
is erased by doing it again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import phonenumbers

from schemas.topics import Topic, TopicSpec
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.privacy import Privacy

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PERSON, NOTIFICATION = "recipient_hash", "notification_id"
LINKS, TOUCHED = "recipient_links", "touched_hours"
# Values in one statement: they travel in the URL, which servers bound.
AT_ONCE = 400
_TABLE = re.compile(r"\w+")
_WAIT = {"mutations_sync": 2}
_OF_PERSON = f"{PERSON} IN {{hashes:Array(String)}}"
_OF_LINKS = "old_hash IN {hashes:Array(String)} OR new_hash IN {hashes:Array(String)}"


class NotANumber(AnalyticsError):
    """What was given is not a phone number; the message does not repeat it."""


class ErasureIncomplete(AnalyticsError):
    """Rows of the person are there again, or still: they landed meanwhile. Erase again."""


class Table(NamedTuple):
    """A table that may hold rows of a person, by which of the two columns, and whether it knows their
    hour."""

    name: str
    by_person: bool
    by_notification: bool
    by_hour: bool


class Erased(NamedTuple):
    """Rows of one table, copies not yet merged included: `found` before, `left` after."""

    table: str
    found: int
    left: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was found and what is left. In a dry run `left` is what was found."""

    tables: tuple[Erased, ...]
    hashes: int
    notifications: int
    dry_run: bool

    @property
    def found(self) -> int:
        return sum(table.found for table in self.tables)


def number_of(text: str) -> str:
    """The E.164 form under which a number was hashed. Raises NotANumber."""
    try:
        parsed = phonenumbers.parse(text.strip(), None)
    except phonenumbers.NumberParseException as unparsable:
        raise NotANumber(
            "this is not a phone number: write it as +<country code><number>, as in +14155550123"
        ) from unparsable
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def hashes_of(number: str, keys: Iterable[bytes]) -> tuple[str, ...]:
    """What stands for the number under each key."""
    return tuple(Privacy(key).recipient_hash(number) for key in keys)


def erase(client: "Client", hashes: Sequence[str], *, dry_run: bool = False) -> Erasure:
    """Erase everything of the person these hashes stand for; with `dry_run` only count it.

    Raises ErasureIncomplete when something is left afterwards, and what clickhouse-connect raises. What a
    crash after each step leaves behind (repeating ends it in every case):

    Step 1, links followed, notifications found, their hours touched: those are summed again, to the same
    figures.
    Step 2, rows that only a notification leads to are gone: the rows with the hash still tell which those
    were.
    Step 3, rows with the hash are gone, one table after the other: each of the others is still found by the
    hash.
    Step 4, links gone: nothing is left. Before this the other hashes of the person are still found.
    """
    tables = _tables(client)
    everyone = _linked(client, tuple(hashes))
    notifications = _notifications(client, tables, everyone)
    found = {table: _count(client, table, everyone, notifications) for table in tables}
    links = _count_links(client, everyone)
    if dry_run:
        return _told(found, found, links, links, everyone, notifications, dry_run=True)
    hours = _hours(client, tables, notifications)
    _touch(client, hours)
    person = {"hashes": list(everyone)}
    for table in tables:
        if table.by_notification and found[table]:
            for some in _portions(notifications):
                _delete(client, table.name, _of_notifications(table), person | {"some": list(some)})
    for table in tables:
        if table.by_person and found[table]:
            _delete(client, table.name, _OF_PERSON, person)
    if links:
        _delete(client, LINKS, _OF_LINKS, person)
    # Again: whoever summed them meanwhile may have read the rows before they went.
    _touch(client, hours)
    left = {table: _count(client, table, everyone, notifications) for table in tables}
    erasure = _told(
        found, left, links, _count_links(client, everyone), everyone, notifications, dry_run=False
    )
    remaining = [f"{table.table}: {table.left}" for table in erasure.tables if table.left]
    if remaining:
        raise ErasureIncomplete(
            f"rows of this person are there after the erasure ({', '.join(remaining)}): they landed "
            "meanwhile. Run it again."
        )
    return erasure


def aging_out(topics: Iterable[tuple[Topic, TopicSpec]]) -> tuple[tuple[str, str], ...]:
    """The topics that analytics lands and how long each keeps what lies in it, for the person who asks."""
    return tuple(
        (topic.value, spec.retention or "for ever, the last record of a key")
        for topic, spec in topics
        if "sinks.analytics" in spec.read_by
    )


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


def _linked(client: "Client", hashes: tuple[str, ...]) -> tuple[str, ...]:
    """These hashes and all that were linked to them while the key was changed."""
    if not _exists(client, LINKS):
        return hashes
    found = set(hashes)
    while True:
        rows = [
            row
            for some in _portions(sorted(found))
            for row in client.query(
                f"""
                SELECT old_hash, new_hash FROM {LINKS}
                WHERE old_hash IN {{some:Array(String)}} OR new_hash IN {{some:Array(String)}}
                """,  # noqa: S608 - of constants
                parameters={"some": list(some)},
            ).result_rows
        ]
        more = {str(one) for row in rows for one in row} - found
        if not more:
            return tuple(sorted(found))
        found |= more


def _notifications(client: "Client", tables: Sequence[Table], hashes: Sequence[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for table in tables:
        if table.by_person and table.by_notification:
            found.update(
                str(row[0])
                for row in client.query(
                    f"""
                    SELECT DISTINCT {NOTIFICATION} FROM {_quoted(table.name)}
                    WHERE {PERSON} IN {{some:Array(String)}} AND {NOTIFICATION} != ''
                    """,  # noqa: S608 - a table's own name, quoted
                    parameters={"some": list(hashes)},
                ).result_rows
            )
    return tuple(sorted(found))


def _hours(client: "Client", tables: Sequence[Table], notifications: Sequence[str]) -> tuple[int, ...]:
    """The hours (s since the epoch) whose sums these notifications are in; none without touched_hours
    (0004)."""
    hours: set[int] = set()
    if not _exists(client, TOUCHED):
        return ()
    for table in tables:
        if table.by_hour:
            for some in _portions(notifications):
                rows = client.query(
                    f"SELECT DISTINCT toUnixTimestamp(hour) FROM {_quoted(table.name)} "  # noqa: S608 - as above
                    f"WHERE {NOTIFICATION} IN {{some:Array(String)}}",
                    parameters={"some": list(some)},
                ).result_rows
                hours.update(int(row[0]) for row in rows)
    return tuple(sorted(hours))


def _touch(client: "Client", hours: Sequence[int]) -> None:
    for some in _portions([str(hour) for hour in hours]):
        client.command(
            f"INSERT INTO {TOUCHED} (hour, touched_at) "
            "SELECT toDateTime(arrayJoin({some:Array(UInt32)}), 'UTC'), now64(6)",
            parameters={"some": [int(hour) for hour in some]},
            settings={"async_insert": 0},
        )


def _count(client: "Client", table: Table, hashes: Sequence[str], notifications: Sequence[str]) -> int:
    """Rows with the hash, and rows of the notifications that have it not."""
    person = {"hashes": list(hashes)}
    count = _rows(client, table.name, _OF_PERSON, person) if table.by_person else 0
    if table.by_notification:
        for some in _portions(notifications):
            count += _rows(client, table.name, _of_notifications(table), person | {"some": list(some)})
    return count


def _count_links(client: "Client", hashes: Sequence[str]) -> int:
    return _rows(client, LINKS, _OF_LINKS, {"hashes": list(hashes)}) if _exists(client, LINKS) else 0


def _exists(client: "Client", table: str) -> bool:
    return bool(client.query(f"EXISTS TABLE {table}").result_rows[0][0])


def _of_notifications(table: Table) -> str:
    other = f" AND {PERSON} NOT IN {{hashes:Array(String)}}" if table.by_person else ""
    return f"{NOTIFICATION} IN {{some:Array(String)}}{other}"


def _rows(client: "Client", table: str, where: str, parameters: dict[str, list[str]]) -> int:
    sql = f"SELECT count() FROM {_quoted(table)} WHERE {where}"  # noqa: S608 - a table's own name, quoted
    return int(client.query(sql, parameters=parameters).result_rows[0][0])


def _delete(client: "Client", table: str, where: str, parameters: dict[str, list[str]]) -> None:
    client.command(
        f"ALTER TABLE {_quoted(table)} DELETE WHERE {where}", parameters=parameters, settings=_WAIT
    )


def _portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def _quoted(table: str) -> str:
    return table if _TABLE.fullmatch(table) else "`" + table.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _told(
    found: dict[Table, int],
    left: dict[Table, int],
    links: int,
    links_left: int,
    hashes: Sequence[str],
    notifications: Sequence[str],
    *,
    dry_run: bool,
) -> Erasure:
    tables = [Erased(table.name, found[table], left[table]) for table in found]
    return Erasure((*tables, Erased(LINKS, links, links_left)), len(hashes), len(notifications), dry_run)
