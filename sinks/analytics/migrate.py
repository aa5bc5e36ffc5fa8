"""Brings a database to the numbered migrations beside this module, each recorded once it is applied.

Guarantees: may run at every start, in any number of processes at once: each statement says IF NOT EXISTS or
OR REPLACE (a test insists), so whoever comes second changes nothing, and a crash half-way is finished by the
next start. Never changes an applied file: a difference is an error, not a guess.
Leaves to you: a cluster's ON CLUSTER and Replicated engines (a database of engine Replicated adds both).
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.analytics.clickhouse import connect, database_of, judged
from sinks.analytics.errors import ClickHouseAway, MigrationError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_BOOKS = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number      UInt32,
    name        String,
    checksum    String COMMENT 'SHA-256 of the file',
    applied_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """A statement ends with a semicolon at the end of a line; comments go to ClickHouse as they are."""
        for statement in re.split(r";[ \t]*$", self.text, flags=re.MULTILINE):
            if statement.strip():
                yield statement.strip()


def migrations() -> tuple[Migration, ...]:
    """All migrations, by number. Raises MigrationError when two share one or a name is out of form."""
    found = []
    for file in resources.files("sinks.analytics").joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"migrations/{file.name}: a migration is named like 0004_what_it_does.sql")
        found.append(Migration(int(match[1]), file.name, file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations must be numbered 1, 2, 3, …: {[m.name for m in found]}")
    return tuple(found)


def migrate(url: str) -> tuple[str, ...]:
    """Create the URL's database and whatever is missing in it; returns the names of what was applied now.

    Raises ClickHouseAway (try again), or MigrationError when an applied migration differs from its file.
    """
    try:
        _ensure_database(url)
        client = connect(url)
        try:
            return _apply(client)
        finally:
            client.close()
    except Error as failed:
        raise ClickHouseAway(str(judged(failed, "migration"))) from failed


def _ensure_database(url: str) -> None:
    name = database_of(url)
    if name == "default":
        return
    # A client of a database that does not exist is refused at once: ask from the one that always does.
    with_default = connect(re.sub(r"^(https?://[^/]+).*", r"\1", url))
    try:
        quoted = name.replace("`", "``")
        with_default.command(f"CREATE DATABASE IF NOT EXISTS `{quoted}`")
    finally:
        with_default.close()


def _apply(client: Client) -> tuple[str, ...]:
    client.command(_BOOKS)
    applied = {
        int(number): str(checksum)
        for number, checksum in client.query("SELECT number, checksum FROM schema_migrations").result_rows
    }
    now = []
    for migration in migrations():
        known = applied.get(migration.number)
        if known is None:
            for statement in migration.statements():
                client.command(statement)
            client.insert(
                "schema_migrations",
                [[migration.number, migration.name, migration.checksum]],
                column_names=["number", "name", "checksum"],
                settings={"async_insert": 0},
            )
            now.append(migration.name)
        elif known != migration.checksum:
            raise MigrationError(
                f"{migration.name} was applied to this database with another content. Put the file back as "
                "it was and write the change as a new migration."
            )
    return tuple(now)
