"""The DDL of a replicated cluster, as text: there is no cluster here, but ClickHouse's own parser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics.cluster import REPLICA_PATH, Layout, check_shards, on_cluster
from sinks.analytics.errors import MigrationError
from sinks.analytics.migrate import migrate, plan
from sinks.analytics.schema_files import migrations
from tests.analytics.world import ClickHouse

STATEMENTS = [
    pytest.param(statement, id=f"{migration.number}-{number}")
    for migration in migrations()
    for number, statement in enumerate(migration.statements())
]
every_statement = pytest.mark.parametrize("statement", STATEMENTS)


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


@every_statement
def test_without_a_cluster_a_statement_is_what_the_file_says(statement: str) -> None:
    assert on_cluster(statement, None) == statement


@every_statement
def test_every_statement_that_makes_or_alters_anything_does_so_on_all_servers(statement: str) -> None:
    code = re.sub(r"--[^\n]*", "", on_cluster(statement, "notifications"))
    if re.match(r"\s*(CREATE|ALTER|DROP)\b", code):
        assert code.count("ON CLUSTER `notifications`") == 1


@every_statement
def test_every_engine_is_a_replicated_one_that_says_how_it_drops_repeated_blocks(statement: str) -> None:
    code = re.sub(r"--[^\n]*", "", on_cluster(statement, "notifications"))
    if "MergeTree" in code:
        assert re.findall(r"(?<!Replicated)\b(?!Replicated)\w*MergeTree", code) == []
        assert REPLICA_PATH in code
        assert len(re.findall(r"\breplicated_deduplication_window\b", code)) == 1
    assert "non_replicated" not in code


@every_statement
def test_rewriting_twice_is_rewriting_once(statement: str) -> None:
    once = on_cluster(statement, "notifications")
    assert on_cluster(once, "notifications") == once


def test_clickhouse_reads_every_rewritten_statement(clickhouse: ClickHouse) -> None:
    for migration in migrations():
        for statement in migration.statements("notifications"):
            quoted = statement.replace("\\", "\\\\").replace("'", "\\'")
            ((read,),) = clickhouse.query(f"SELECT formatQuery('{quoted}')")
            assert ("ON CLUSTER notifications" in read) == ("ON CLUSTER" in statement)


def test_the_parameters_of_an_engine_come_after_those_of_the_replica() -> None:
    made = on_cluster(
        "CREATE TABLE IF NOT EXISTS t (n Int64) ENGINE = SummingMergeTree((a, b)) ORDER BY n", "c"
    )
    assert f"ENGINE = ReplicatedSummingMergeTree({REPLICA_PATH}, (a, b)) ORDER BY n" in made


def test_empty_parentheses_of_an_engine_stay_without_parameters() -> None:
    made = on_cluster("CREATE TABLE t (n Int64) ENGINE = MergeTree() ORDER BY n", "c")
    assert f"ReplicatedMergeTree({REPLICA_PATH}) ORDER BY n" in made


def test_a_table_that_drops_no_repeated_blocks_drops_none_when_replicated() -> None:
    made = on_cluster("CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n -- done", "c")
    assert made.endswith("-- done\nSETTINGS replicated_deduplication_window = 0\n")


def test_the_settings_of_a_view_with_an_engine_stand_before_its_query() -> None:
    made = on_cluster(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS v ENGINE = MergeTree ORDER BY n\nAS SELECT n FROM t", "c"
    )
    assert re.search(r"ORDER BY n\s+SETTINGS replicated_deduplication_window = 0\s+AS SELECT n FROM t", made)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'CREATE TABLE t ENGINE = MergeTree'",
        "SELECT 1 -- ENGINE = MergeTree, non_replicated_deduplication_window",
        "INSERT INTO t SELECT 'ALTER TABLE x' /* ENGINE = MergeTree */ FROM u",
    ],
)
def test_what_is_in_quotes_or_comments_is_left_alone(statement: str) -> None:
    assert on_cluster(statement, "c") == statement


@given(st.text(alphabet="-- '/*()\nabc", max_size=40))
def test_whatever_a_comment_on_a_column_says_stays_as_it_is(comment: str) -> None:
    quoted = comment.replace("'", "''")
    made = on_cluster(
        f"CREATE TABLE t (n Int64 COMMENT '{quoted}') ENGINE = MergeTree ORDER BY n SETTINGS a = 1", "c"
    )
    assert f"(n Int64 COMMENT '{quoted}') ENGINE = Replicated" in made


def test_an_engine_whose_parameters_do_not_end_is_refused() -> None:
    with pytest.raises(MigrationError, match="do not end"):
        on_cluster("CREATE TABLE t (n Int64) ENGINE = ReplacingMergeTree(n", "c")


@pytest.mark.parametrize("name", ["", "a`b", "a b", "c'"])
def test_a_name_that_no_cluster_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be one"):
        Layout(cluster=name)


def test_a_cluster_of_several_shards_is_refused() -> None:
    check_shards("one", {"one": 1, "three": 3})
    with pytest.raises(MigrationError, match="three has 3 shards"):
        check_shards("three", {"one": 1, "three": 3})


def test_a_cluster_the_server_does_not_know_is_refused_before_anything_is_made(
    clickhouse: ClickHouse,
) -> None:
    url = clickhouse.url + "/nowhere"
    with pytest.raises(MigrationError, match="CLICKHOUSE_CLUSTER is elsewhere"):
        migrate(url, Layout(cluster="elsewhere"))
    assert plan(url).create_database
