"""The migrations' DDL as a replicated cluster wants it: the same files, rewritten.

Guarantees: pure; without a cluster the text comes back as it is; what stands in quotes or comments is never
touched; a text that is already rewritten is not rewritten again. With one: ON CLUSTER in every DDL statement,
Replicated engines with the macros {shard} and {replica}, and their name for the deduplication window. A table
that names no window has none on one server, but one of 10,000 blocks when replicated: it is set to 0.
Leaves to you: the cluster of that name in the servers' configuration, their macros and Keeper; and one shard,
because the sink inserts into, and the reports read from, the shard that CLICKHOUSE_URL leads to.

Source: clickhouse.com/docs, "Distributed DDL queries" and "Data replication": ON CLUSTER stands after the
name; a Replicated engine takes Keeper's path and the replica's name before its other parameters.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sinks.analytics.errors import MigrationError

REPLICA_PATH = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
"""{database} and {table} are filled in by ClickHouse itself: no two tables share a path."""
_NAME = r"(?:[A-Za-z_]\w*|`[^`]*`)"
_QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
# What is in quotes or a comment is not read; a name in backquotes is.
_UNREAD = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_DDL = re.compile(
    r"\s*(?:"
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|TABLE|(?:MATERIALIZED\s+)?VIEW|DICTIONARY|FUNCTION)"
    r"(?:\s+IF\s+NOT\s+EXISTS)?"
    r"|ALTER\s+TABLE"
    r"|(?:DROP|TRUNCATE)\s+(?:DATABASE|TABLE|VIEW|DICTIONARY|FUNCTION)(?:\s+IF\s+EXISTS)?"
    r"|OPTIMIZE\s+TABLE"
    rf")\s+(?P<name>{_QUALIFIED})(?P<cluster>\s+ON\s+CLUSTER\b)?",
    re.IGNORECASE,
)
_ENGINE = re.compile(r"\bENGINE\s*=\s*(?P<kind>\w*MergeTree)\b(?P<open>\s*\()?", re.IGNORECASE)
_WINDOW = re.compile(r"\b(?:non_)?replicated_deduplication_window\b")
_SETTINGS = re.compile(r"\bSETTINGS\b", re.IGNORECASE)
# What may follow the settings of a table: its comment, or the query of a view that has an engine of its own.
_AFTER_SETTINGS = re.compile(r"^(?:COMMENT\b|AS\s*$|AS\s+(?:SELECT|WITH)\b)", re.IGNORECASE | re.MULTILINE)
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the tables of an installation differ from the files: their cluster, and how long they keep rows."""

    cluster: str | None = None
    """The cluster's name in the servers' configuration (remote_servers); None: one server."""
    retention_days: dict[str, int] = field(default_factory=dict)
    """Days by table, 0 for ever; a table that is not named keeps the retention it has."""

    def __post_init__(self) -> None:
        """Raises ValueError for a name or a number that cannot be one."""
        if self.cluster is not None and not _CLUSTER_NAME.fullmatch(self.cluster):
            raise ValueError(
                f"the cluster's name {self.cluster!r} cannot be one: letters, digits, '_', '-' and '.' as in "
                "remote_servers of the ClickHouse servers"
            )
        for table, days in self.retention_days.items():
            if not 0 <= days <= 36_500:
                raise ValueError(
                    f"the retention of {table} is {days} days: write 1 to 36500, or 0 to keep it for ever"
                )


ONE_SERVER = Layout()


def on_cluster(statement: str, cluster: str | None) -> str:
    """One statement for this cluster, or as it is without one. Raises MigrationError when it ends within
    quotes or parentheses of an engine."""
    if cluster is None:
        return statement
    read = _masked(statement)
    edits = [*_ddl(read, cluster), *_engines(read), *_windows(read)]
    for edit in sorted(edits, reverse=True):
        statement = statement[: edit.start] + edit.text + statement[edit.end :]
    return statement


def check_shards(cluster: str, shards: Mapping[str, int]) -> None:
    """Whether the tables can be had there; `shards` is how many every cluster has that the server knows.

    Raises MigrationError for one it does not know, and for one of several shards.
    """
    if cluster not in shards:
        raise MigrationError(
            f"CLICKHOUSE_CLUSTER is {cluster}, and the server at CLICKHOUSE_URL knows of "
            f"{', '.join(sorted(shards)) or 'no cluster'}: name one of its remote_servers"
        )
    if shards[cluster] > 1:
        raise MigrationError(
            f"cluster {cluster} has {shards[cluster]} shards: rows would land in one of them and be read "
            "from that one alone. Name a cluster of one shard and its replicas."
        )


def _ddl(read: str, cluster: str) -> Iterator[_Edit]:
    found = _DDL.match(read)
    if found is not None and found["cluster"] is None:
        yield _Edit(found.end("name"), found.end("name"), f" ON CLUSTER `{cluster}`")


def _engines(read: str) -> Iterator[_Edit]:
    for found in _ENGINE.finditer(read):
        kind = found["kind"]
        if kind.lower().startswith(("replicated", "shared")):
            continue
        if found["open"] is None:
            yield _Edit(found.start("kind"), found.end(), f"Replicated{kind}({REPLICA_PATH})")
            continue
        inside = read[found.end() : _closing(read, found.end())]
        comma = ", " if inside.strip() else ""
        yield _Edit(found.start("kind"), found.end(), f"Replicated{kind}({REPLICA_PATH}{comma}")


def _windows(read: str) -> Iterator[_Edit]:
    named = list(_WINDOW.finditer(read))
    for found in named:
        yield _Edit(found.start(), found.end(), "replicated_deduplication_window")
    engine = _ENGINE.search(read)
    if named or engine is None:
        return
    settings = _SETTINGS.search(read, engine.end())
    if settings is not None:
        yield _Edit(settings.end(), settings.end(), " replicated_deduplication_window = 0,")
        return
    after = _AFTER_SETTINGS.search(read, engine.end())
    place = after.start() if after is not None else len(read)
    yield _Edit(place, place, "\nSETTINGS replicated_deduplication_window = 0\n")


def _closing(read: str, start: int) -> int:
    depth = 1
    for place in range(start, len(read)):
        depth += {"(": 1, ")": -1}.get(read[place], 0)
        if depth == 0:
            return place
    raise MigrationError(f"an engine's parameters do not end: {read[start : start + 60]!r}; close them")


def _masked(statement: str) -> str:
    """The same length, with blanks for whatever is not to be read."""
    return _UNREAD.sub(lambda found: " " * len(found[0]), statement)
