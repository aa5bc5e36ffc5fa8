"""Erases one recipient from ClickHouse, and proves it by asking for what is left.

Guarantees: when `erase` returns, no row of any MergeTree table of the database holds the person's hash,
under any of the keys given, or a notification that was for that person; whoever repeats it erases nothing
more. Rows are rewritten away by mutations that are waited for, not only masked: an erased row is gone from
the disk as soon as ClickHouse drops the parts it has replaced (old_parts_lifetime, 8 minutes by default).
Sums of hours are made again without the person. Not touched: backups; and Kafka, where records age out by
their topics' retention, so that whatever lands of them later is erased by doing it again. Leaves to
`personal_rows` where rows of a person are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import phonenumbers

from schemas.topics import Topic, TopicSpec
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.personal_rows import TOUCHED, Pass, Traces, portions, quoted, traces
from sinks.analytics.privacy import Privacy

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# All replicas have done it when the statement ends.
_WAIT = {"mutations_sync": 2}


class NotANumber(AnalyticsError):
    """What was given is not a phone number; the message does not repeat it."""


class ErasureIncomplete(AnalyticsError):
    """Rows of the person are there again, or still: they landed meanwhile. Erase again."""


class Erased(NamedTuple):
    """Rows of one table, copies not yet merged included: `found` before, `left` after."""

    table: str
    found: int
    left: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was found and what is left, by table. In a dry run `left` is what was found."""

    tables: tuple[Erased, ...]
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

    Step 1, all traces found and counted: nothing is changed.
    Step 2, the hours of the notifications touched: they are summed again, to the same figures.
    Step 3, pass by pass deleted, in their order: what is left is still found by what is left.
    Step 4, the hours touched again, for whoever summed them in the midst of step 3: nothing of the person
      is left; without it such a sum of nobody in particular stays until its hour is touched again.
    """
    found = traces(client, hashes)
    before = [one.count(client) for one in found.passes]
    if dry_run:
        return _told(found, before, before, dry_run=True)
    _touch(client, found.hours)
    for one, rows in zip(found.passes, before, strict=True):
        if rows:
            _delete(client, one)
    _touch(client, found.hours)
    erasure = _told(found, before, [one.count(client) for one in found.passes], dry_run=False)
    left = [f"{table.table}: {table.left}" for table in erasure.tables if table.left]
    if left:
        raise ErasureIncomplete(
            f"rows of this person are there after the erasure ({', '.join(left)}): they landed meanwhile. "
            "Run it again."
        )
    return erasure


def aging_out(topics: Iterable[tuple[Topic, TopicSpec]]) -> tuple[tuple[str, str], ...]:
    """The topics that analytics lands and how long each keeps what lies in it, for the person who asks."""
    return tuple(
        (topic.value, spec.retention or "for ever, the last record of a key")
        for topic, spec in topics
        if "sinks.analytics" in spec.read_by
    )


def _delete(client: "Client", rows: Pass) -> None:
    client.command(
        f"ALTER TABLE {quoted(rows.table)} DELETE WHERE {rows.where}", parameters=rows.values, settings=_WAIT
    )


def _touch(client: "Client", hours: Sequence[int]) -> None:
    for some in portions([str(hour) for hour in hours]):
        client.command(
            f"INSERT INTO {TOUCHED} (hour, touched_at) "
            "SELECT toDateTime(arrayJoin({some:Array(UInt32)}), 'UTC'), now64(6)",
            parameters={"some": [int(hour) for hour in some]},
            settings={"async_insert": 0},
        )


def _told(found: Traces, before: Sequence[int], after: Sequence[int], *, dry_run: bool) -> Erasure:
    counts: dict[str, tuple[int, int]] = {}
    for one, rows, left in zip(found.passes, before, after, strict=True):
        known = counts.get(one.table, (0, 0))
        counts[one.table] = (known[0] + rows, known[1] + left)
    tables = tuple(Erased(table, *counted) for table, counted in sorted(counts.items()))
    return Erasure(tables, len(found.notifications), dry_run)
