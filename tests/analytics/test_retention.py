"""Retention by setting: declared by the migrations, changed where it is named, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics.cluster import Layout
from sinks.analytics.errors import MigrationError
from sinks.analytics.migrate import migrate, plan
from sinks.analytics.retention import Declared, changes, declared, told_days
from sinks.analytics.schema_files import migrations
from tests.analytics.world import ClickHouse

DECLARED = declared(statement for migration in migrations() for statement in migration.statements())


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


def kept_days(clickhouse: ClickHouse, database: str, table: str) -> int:
    ((engine,),) = clickhouse.query(
        f"SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = '{table}'"  # noqa: S608
    )
    return told_days(engine)


def test_the_retention_of_a_table_is_read_from_its_migration() -> None:
    assert DECLARED["status_events"] == Declared("toDateTime(received_at)", 90)
    assert DECLARED["messages"] == Declared("toDateTime(requested_at)", 400)
    assert "consent_changes" not in DECLARED


def test_what_clickhouse_tells_of_every_table_is_what_its_migration_declares(clickhouse: ClickHouse) -> None:
    migrate(clickhouse.url + "/told")
    for table, retention in DECLARED.items():
        assert kept_days(clickhouse, "told", table) == retention.days, table
    assert kept_days(clickhouse, "told", "consent_changes") == 0


def test_a_retention_is_shortened_lengthened_and_taken_away(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/changed"
    migrate(url)
    for days in (30, 800, 0, 90):
        layout = Layout(retention_days={"status_events": days})
        assert len(migrate(url, layout)) == 1
        assert kept_days(clickhouse, "changed", "status_events") == days
        assert migrate(url, layout) == ()


def test_a_process_without_the_setting_takes_nothing_back(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/kept"
    migrate(url, Layout(retention_days={"inbound": 7}))
    assert migrate(url) == ()
    assert kept_days(clickhouse, "kept", "inbound") == 7


def test_a_plan_says_what_is_altered_and_alters_nothing(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/planned"
    migrate(url)
    (change,) = plan(url, Layout(retention_days={"attempts": 10, "requests": 90})).retention
    assert (change.table, change.from_days, change.to_days, change.drops_rows) == ("attempts", 90, 10, True)
    assert change.sql == "ALTER TABLE attempts MODIFY TTL toDateTime(at) + INTERVAL 10 DAY"
    assert kept_days(clickhouse, "planned", "attempts") == 90


@pytest.mark.parametrize("table", ["consent_changes", "nothing"])
def test_a_table_without_a_retention_cannot_be_given_one(table: str) -> None:
    with pytest.raises(MigrationError, match="consent_changes is the proof"):
        changes({table: 5}, DECLARED, {})


@pytest.mark.parametrize("days", [-1, 40_000])
def test_a_number_of_days_that_cannot_be_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="messages"):
        Layout(retention_days={"messages": days})


def test_a_ttl_somebody_made_by_hand_is_refused_rather_than_guessed() -> None:
    with pytest.raises(MigrationError, match="cannot read this TTL"):
        told_days("MergeTree ORDER BY n TTL at + toIntervalMonth(3)")


DAYS = st.dictionaries(st.sampled_from(sorted(DECLARED)), st.integers(0, 400))


@given(wanted=DAYS, current=DAYS)
def test_after_the_changes_every_named_table_keeps_what_is_wanted_and_no_other_changed(
    wanted: dict[str, int], current: dict[str, int]
) -> None:
    made = changes(wanted, DECLARED, current)
    after = current | {change.table: change.to_days for change in made}
    assert {change.table for change in made} <= wanted.keys()
    assert changes(wanted, DECLARED, after) == ()
    for change in made:
        assert change.from_days != change.to_days == wanted[change.table]
