"""Brings a database to the numbered migrations beside this module, each recorded once it is applied.

Guarantees: may run at every start, in any number of processes at once: each statement says IF NOT EXISTS or
OR REPLACE (a test insists) or ends in the same state, so whoever comes second changes nothing, and a crash
half-way is finished by the next start. Never changes an applied file, and never touches a database that a
newer release has been at: a difference is an error, not a guess. `plan` changes nothing and says all.
Leaves to `cluster` what a cluster's DDL is, to `retention` how long a table keeps its rows.
"""

import re
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.analytics.clickhouse import connect, database_of, judged
from sinks.analytics.cluster import ONE_SERVER, Layout, check_shards, on_cluster
from sinks.analytics.errors import ClickHouseAway, MigrationError, SchemaNewer
from sinks.analytics.retention import Change, changes, declared, told_days
from sinks.analytics.schema_files import Migration, migrations

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
# A cluster's statement waits for all its servers; below what the client waits for an answer.
_ON_CLUSTER_SETTINGS = {"distributed_ddl_task_timeout": 45}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a database lacks, in the order of the work."""

    database: str
    create_database: bool
    migrations: tuple[Migration, ...]
    retention: tuple[Change, ...]

    @property
    def done(self) -> tuple[str, ...]:
        """One line of each."""
        return (
            *(migration.name for migration in self.migrations),
            *(f"{each.table}: retention {_days(each.to_days)}" for each in self.retention),
        )


def plan(url: str, layout: Layout = ONE_SERVER) -> Plan:
    """What `migrate` would do now. Changes nothing, makes no database.

    Raises ClickHouseAway (try again); SchemaNewer when a newer release has been at this database;
    MigrationError when an applied migration differs from its file, or the layout cannot be had there.
    """
    name = database_of(url)
    try:
        server = connect(_of_default(url))
        try:
            _check_cluster(server, layout)
            exists = bool(
                server.query(
                    "SELECT count() FROM system.databases WHERE name = {name:String}", {"name": name}
                ).result_rows[0][0]
            )
            applied = _applied(server, name)
            tables = _retention(server, name) if layout.retention_days else {}
        finally:
            server.close()
    except Error as failed:
        raise ClickHouseAway(str(judged(failed, "migration"))) from failed
    known = migrations()
    wanted = declared(statement for migration in known for statement in migration.statements())
    _check_release(name, known, applied)
    current = {table: told_days(engine) for table, engine in tables.items() if table in layout.retention_days}
    return Plan(
        database=name,
        create_database=not exists,
        migrations=tuple(each for each in known if each.number not in applied),
        retention=changes(layout.retention_days, wanted, current),
    )


def migrate(url: str, layout: Layout = ONE_SERVER) -> tuple[str, ...]:
    """Do what `plan` says; returns a line for each thing done now."""
    return carry_out(url, layout).done


def carry_out(url: str, layout: Layout = ONE_SERVER) -> Plan:
    """Create the URL's database and whatever is missing in it; returns what was missing.

    What a crash after each step leaves behind: 1. an empty database; 2. the books, empty; 3. some statements
    of a migration that is not in the books: all of it runs again, to the same end; 4. a migration, recorded;
    5. some tables with their new retention: the rest differs, and is altered by the next start.
    Raises what `plan` raises.
    """
    todo = plan(url, layout)
    cluster = layout.cluster
    settings = _ON_CLUSTER_SETTINGS if cluster is not None else {}
    try:
        _ensure_database(url, layout)
        client = connect(url)
        try:
            client.command(on_cluster(_BOOKS, cluster), settings=settings)
            for migration in todo.migrations:
                for statement in migration.statements(cluster):
                    client.command(statement, settings=settings)
                _record(client, migration)
            for change in todo.retention:
                client.command(on_cluster(change.sql, cluster), settings=settings)
        finally:
            client.close()
    except Error as failed:
        raise ClickHouseAway(str(judged(failed, "migration"))) from failed
    return todo


def _ensure_database(url: str, layout: Layout) -> None:
    name = database_of(url)
    if name == "default":
        return
    # A client of a database that does not exist is refused at once: ask from the one that always does.
    with_default = connect(_of_default(url))
    try:
        quoted = name.replace("`", "``")
        create = f"CREATE DATABASE IF NOT EXISTS `{quoted}`"
        with_default.command(on_cluster(create, layout.cluster))
    finally:
        with_default.close()


def _of_default(url: str) -> str:
    return re.sub(r"^(https?://[^/]+).*", r"\1", url)


def _record(client: Client, migration: Migration) -> None:
    client.insert(
        "schema_migrations",
        [[migration.number, migration.name, migration.checksum]],
        column_names=["number", "name", "checksum"],
        settings={"async_insert": 0},
    )


def _applied(server: Client, database: str) -> dict[int, tuple[str, str]]:
    """(name, checksum) by number; nothing when there are no books yet."""
    named = {"name": database}
    books = "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'schema_migrations'"
    if not server.query(books, named).result_rows[0][0]:
        return {}
    rows = server.query(
        "SELECT number, any(name), any(checksum) FROM {name:Identifier}.schema_migrations GROUP BY number",
        named,
    ).result_rows
    return {int(number): (str(name), str(checksum)) for number, name, checksum in rows}


def _retention(server: Client, database: str) -> dict[str, str]:
    rows = server.query(
        "SELECT name, engine_full FROM system.tables WHERE database = {name:String}", {"name": database}
    ).result_rows
    return {str(name): str(engine) for name, engine in rows}


def _check_release(database: str, known: tuple[Migration, ...], applied: dict[int, tuple[str, str]]) -> None:
    ours = {migration.number: migration for migration in known}
    newer = [name for number, (name, _) in sorted(applied.items()) if number not in ours]
    if newer:
        raise SchemaNewer(
            f"database {database} is of a newer release: {', '.join(newer)} was applied to it, and this "
            f"release ends with {known[-1].name if known else 'none'}. Run the newer release, "
            "or give this one a database of its own (CLICKHOUSE_URL)."
        )
    for number, (_, checksum) in applied.items():
        if ours[number].checksum != checksum:
            raise MigrationError(
                f"{ours[number].name} was applied to this database with another content. Put the file back "
                "as it was and write the change as a new migration."
            )


def _check_cluster(server: Client, layout: Layout) -> None:
    if layout.cluster is None:
        return
    shards = server.query(
        "SELECT cluster, uniqExact(shard_num) FROM system.clusters GROUP BY cluster"
    ).result_rows
    check_shards(layout.cluster, {str(name): int(count) for name, count in shards})


def _days(days: int) -> str:
    return f"{days} days" if days else "for ever"
