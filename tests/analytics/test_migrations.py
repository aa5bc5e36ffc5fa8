"""Migrations: applied once, safe in company, and the tables have the columns the rows have."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sinks.analytics import migrate as migrating
from sinks.analytics.clickhouse import connect
from sinks.analytics.errors import ClickHouseAway, MigrationError, SchemaNewer
from sinks.analytics.migrate import migrate, plan
from sinks.analytics.schema_files import Migration, concerns, migrations
from sinks.analytics.tables import TABLES
from tests.analytics.world import ClickHouse
from tests.console.command_line import run


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


def _without_comments(statement: str) -> str:
    return re.sub(r"^\s*--.*$", "", statement, flags=re.MULTILINE).strip()


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
def test_every_statement_may_be_run_twice(migration: Migration) -> None:
    for statement in migration.statements():
        assert re.match(
            r"CREATE ((TABLE|MATERIALIZED VIEW|DICTIONARY|FUNCTION) IF NOT EXISTS|OR REPLACE (VIEW|FUNCTION))"
            r"|ALTER TABLE .* IF (NOT )?EXISTS|ALTER TABLE \w+ MODIFY (SETTING|TTL)|DROP .* IF EXISTS",
            _without_comments(statement),
        ), statement


def test_a_second_start_applies_nothing(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/twice"
    assert migrate(url) == tuple(migration.name for migration in migrations())
    assert migrate(url) == ()


def test_two_processes_that_start_at_once_both_find_all_tables(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/together"
    errors: list[BaseException] = []

    def work() -> None:
        try:
            migrate(url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate(url) == ()


def test_a_start_that_crashed_half_way_is_finished_by_the_next(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = clickhouse.url + "/halfway"
    first = migrations()[0]
    half = first.text[: first.text.index("CREATE TABLE IF NOT EXISTS requests")]
    monkeypatch.setattr(migrating, "migrations", lambda: ())
    migrate(url)
    client = connect(url)
    try:
        for statement in Migration(1, first.name, half).statements():
            if _without_comments(statement):
                client.command(statement)
    finally:
        client.close()
    monkeypatch.undo()
    assert len(migrate(url)) == len(migrations())


def test_a_migration_changed_after_it_was_applied_is_refused(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = clickhouse.url + "/changed"
    migrate(url)
    changed = tuple(Migration(m.number, m.name, m.text + "\n-- another") for m in migrations())
    monkeypatch.setattr(migrating, "migrations", lambda: changed)
    with pytest.raises(MigrationError, match="write the change as a new migration"):
        migrate(url)


def test_a_database_of_a_newer_release_is_left_alone(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/newer"
    migrate(url)
    with closing(connect(url)) as client:
        client.insert(
            "schema_migrations", [[9999, "9999_later.sql", "x"]], column_names=["number", "name", "checksum"]
        )
        client.command("DROP VIEW consent")
    for refused in (plan, migrate):
        with pytest.raises(SchemaNewer, match=r"9999_later\.sql.*ends with") as newer:
            refused(url)
        assert "Run the newer release" in str(newer.value)
    assert clickhouse.query(
        "SELECT count() FROM system.tables WHERE database='newer' AND name='consent'"
    ) == [(0,)]


def test_the_command_says_what_is_newer_and_what_a_retention_drops(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    env = {
        "CLICKHOUSE_URL": clickhouse.url + "/commanded",
        "ANALYTICS_RETENTION_DAYS": '{"inbound": 5}',
    }
    assert (
        run("analytics", "migrate", folder=tmp_path, env=env | {"ANALYTICS_RETENTION_DAYS": "{}"}).code == 0
    )
    shown = run("analytics", "migrate", "--dry-run", folder=tmp_path, env=env)
    assert "-- retention of inbound: 90 to 5 days, and drops what is older" in shown.stdout
    (change,) = json.loads(run("analytics", "migrate", "--json", folder=tmp_path, env=env).stdout)[
        "retention"
    ]
    assert (change["table"], change["from_days"], change["to_days"]) == ("inbound", 90, 5)
    with closing(connect(env["CLICKHOUSE_URL"])) as client:
        client.insert(
            "schema_migrations", [[9999, "9999_later.sql", "x"]], column_names=["number", "name", "checksum"]
        )
    refused = run("analytics", "migrate", "--dry-run", folder=tmp_path, env=env)
    assert refused.code == 1
    assert "database commanded is of a newer release: 9999_later.sql" in refused.stderr


def test_a_plan_makes_nothing_not_even_the_database(clickhouse: ClickHouse) -> None:
    todo = plan(clickhouse.url + "/planned")
    assert todo.create_database
    assert todo.migrations == migrations()
    assert clickhouse.query("SELECT count() FROM system.databases WHERE name = 'planned'") == [(0,)]


def test_each_applied_migration_is_recorded_with_what_it_was(clickhouse: ClickHouse) -> None:
    migrate(clickhouse.url + "/recorded")
    recorded = clickhouse.query(
        "SELECT number, name, checksum FROM recorded.schema_migrations ORDER BY number"
    )
    assert recorded == [(each.number, each.name, each.checksum) for each in migrations()]


def test_a_migration_that_another_branch_brings_later_is_applied_in_its_turn(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = clickhouse.url + "/gap"
    full = migrations()
    monkeypatch.setattr(migrating, "migrations", lambda: tuple(m for m in full if m.number != 9))
    migrate(url)
    monkeypatch.undo()
    assert migrate(url) == tuple(m.name for m in full if m.number == 9)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("-- why\nCREATE TABLE IF NOT EXISTS a (n Int8)", "create table a"),
        ("CREATE OR REPLACE VIEW b AS SELECT 1", "create or replace view b"),
        ("ALTER TABLE c MODIFY SETTING d = 1", "alter table c"),
        ("INSERT INTO e SELECT 1", "insert into e"),
    ],
)
def test_a_statement_is_said_in_a_few_words(statement: str, said: str) -> None:
    assert concerns(statement) == said


def test_every_table_has_the_columns_of_its_rows_in_their_order(clickhouse: ClickHouse) -> None:
    migrate(clickhouse.url)
    for row_type, table in TABLES.items():
        columns = [row[0] for row in clickhouse.query(f"DESCRIBE TABLE {table}")]
        assert columns == list(row_type._fields), table


def test_a_clickhouse_that_is_not_there_is_away_and_its_password_unsaid() -> None:
    with pytest.raises(ClickHouseAway) as away:
        connect("http://user:s3cret@127.0.0.1:9/db")
    assert "127.0.0.1:9" in str(away.value)
    assert "s3cret" not in str(away.value)
