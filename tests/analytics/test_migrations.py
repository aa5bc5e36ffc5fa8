"""Migrations: applied once, safe in company, and the tables have the columns the rows have."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from sinks.analytics import migrate as migrating
from sinks.analytics.clickhouse import connect
from sinks.analytics.errors import ClickHouseAway, MigrationError
from sinks.analytics.migrate import Migration, migrate, migrations
from sinks.analytics.tables import TABLES
from tests.analytics.world import ClickHouse


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
            r"CREATE (TABLE IF NOT EXISTS|OR REPLACE VIEW)|ALTER TABLE .* IF (NOT )?EXISTS|DROP .* IF EXISTS",
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
