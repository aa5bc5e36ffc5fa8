"""How long each table keeps its rows: what the migrations declare, what a database has, what is wanted.

Guarantees: pure; only tables that are named are changed, so that a process started without the setting takes
nothing back and drops nothing; a table without a retention in its migration cannot be given one.
Leaves to `migrate`: asking the database and running the statements; to ClickHouse: dropping what is older,
whole parts at a time, when it next merges.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sinks.analytics.errors import MigrationError

# As our files write it, and as ClickHouse tells it back (system.tables.engine_full).
_DECLARED = re.compile(
    r"CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS\s+(?P<table>\w+)\b.*?"
    r"^TTL\s+(?P<time>.+?)\s*\+\s*INTERVAL\s+(?P<days>\d+)\s+DAY\b",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_TOLD = re.compile(
    r"\bTTL\s+(?P<time>.+?)\s*\+\s*(?:toIntervalDay\((?P<days>\d+)\)|INTERVAL\s+(?P<said>\d+)\s+DAY)"
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A table's retention in its migration: from which time on, and days."""

    time: str
    days: int


@dataclass(frozen=True, slots=True)
class Change:
    """A table's retention that is to be another one; days, 0 for ever."""

    table: str
    from_days: int
    to_days: int
    sql: str

    @property
    def drops_rows(self) -> bool:
        """Whether rows that are kept now are dropped by it."""
        return self.to_days != 0 and (self.from_days == 0 or self.to_days < self.from_days)


def declared(statements: Iterable[str]) -> dict[str, Declared]:
    """By table, of all that is created with one."""
    found = {}
    for statement in statements:
        match = _DECLARED.search(statement)
        if match is not None:
            found[match["table"]] = Declared(match["time"], int(match["days"]))
    return found


def told_days(engine_full: str) -> int:
    """What a table of ours keeps by now, as system.tables tells it; 0 for ever.

    Raises MigrationError for a TTL of another form, which somebody made by hand.
    """
    if re.search(r"\bTTL\b", engine_full) is None:
        return 0
    match = _TOLD.search(engine_full)
    if match is None:
        raise MigrationError(
            f"cannot read this TTL: {engine_full[engine_full.index('TTL') :][:120]!r}; it is not of the form "
            "time + INTERVAL days DAY. Leave the table out of ANALYTICS_RETENTION_DAYS."
        )
    return int(match["days"] or match["said"])


def changes(
    wanted: Mapping[str, int], declared: Mapping[str, Declared], current: Mapping[str, int]
) -> tuple[Change, ...]:
    """What to alter so that the named tables keep what is wanted, by table.

    `current` is days by table, of those that exist. Raises MigrationError for a table that has no retention.
    """
    unknown = sorted(wanted.keys() - declared.keys())
    if unknown:
        raise MigrationError(
            f"ANALYTICS_RETENTION_DAYS names {', '.join(unknown)}: retention can be set for "
            f"{', '.join(sorted(declared))}; other tables keep all they have (consent_changes is the proof "
            "of who had opted out when)"
        )
    found = []
    for table, days in sorted(wanted.items()):
        now = current.get(table, declared[table].days)
        if now != days:
            found.append(Change(table, now, days, _alter(table, declared[table], days)))
    return tuple(found)


def _alter(table: str, declared: Declared, days: int) -> str:
    if days == 0:
        return f"ALTER TABLE {table} REMOVE TTL"
    return f"ALTER TABLE {table} MODIFY TTL {declared.time} + INTERVAL {days} DAY"
