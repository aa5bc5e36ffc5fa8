"""What has been read and not yet committed.

Guarantees: what is committed for a partition is one past the last record read of it, and only while this
process owns it. Leaves to the sink: when it is full, and the order of insert, dead letters and commit.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from sinks.analytics.rows import Place
from sinks.analytics.tables import TABLES, Row

Partition: TypeAlias = tuple[str, int]


class Kept(NamedTuple):
    """A Kafka record as it was, for the dead letter it may become."""

    place: Place
    key: bytes | None
    value: bytes | None


class Given(NamedTuple):
    """A record given up, and why."""

    record: Kept
    reason: str
    detail: str


class Entry(NamedTuple):
    record: Kept
    rows: tuple[Row, ...]


class Batch:
    """Not safe to share between threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._given_up: list[Given] = []
        self._next: dict[Partition, int] = {}

    def __len__(self) -> int:
        """Records read, landing or not."""
        return len(self._entries) + len(self._given_up)

    def __bool__(self) -> bool:
        return bool(self._next)

    @property
    def given_up(self) -> tuple[Given, ...]:
        return tuple(self._given_up)

    def add(self, record: Kept, rows: tuple[Row, ...]) -> None:
        self._entries.append(Entry(record, rows))
        self._passed(record.place)

    def give_up(self, record: Kept, reason: str, detail: str) -> None:
        self._given_up.append(Given(record, reason, detail))
        self._passed(record.place)

    def skip(self, place: Place) -> None:
        """Nothing of this record lands; it is only passed."""
        self._passed(place)

    def forget(self, place: Place) -> None:
        """This record's rows are not to land; it stays passed."""
        self._entries = [entry for entry in self._entries if entry.record.place != place]

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget what was read of these partitions: their next owner reads it again from the last commit."""
        gone = set(partitions)
        self._entries = [entry for entry in self._entries if entry.record.place[:2] not in gone]
        self._given_up = [given for given in self._given_up if given.record.place[:2] not in gone]
        self._next = {partition: offset for partition, offset in self._next.items() if partition not in gone}

    def by_table(self) -> dict[type[Row], list[tuple[Row, Entry]]]:
        """All rows by table, in the order the tables are to be inserted."""
        sorted_rows: dict[type[Row], list[tuple[Row, Entry]]] = {row_type: [] for row_type in TABLES}
        for entry in self._entries:
            for row in entry.rows:
                sorted_rows[type(row)].append((row, entry))
        return {row_type: rows for row_type, rows in sorted_rows.items() if rows}

    def next_offsets(self) -> dict[Partition, int]:
        """What to commit, by partition."""
        return dict(self._next)

    def _passed(self, place: Place) -> None:
        self._next[place.topic, place.partition] = place.offset + 1
