"""The sandbox's ClickHouse as clickhouse-connect sees it: types, inserts, queries, errors, restarts."""

# ruff: noqa: S608 - the names in the statements are the tests' own

import datetime
import decimal
import ipaddress
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.servers import running

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]


def connect(url: str, **options: object) -> Client:
    # An own pool, so that closing the client closes its sockets.
    parts = urlsplit(url)
    return clickhouse_connect.get_client(host=parts.hostname, port=parts.port, dedicated_pool=True, **options)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("clickhouse")
    with running("sandbox.clickhouse", "--data", str(directory / "data"), log=directory / "log") as server:
        yield server.address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    client = connect(url)
    yield client
    client.close()


@pytest.fixture
def table(request: pytest.FixtureRequest, client: Client) -> Iterator[str]:
    """An empty table of this test: `id UInt64, s String`, ordered by id, dropping repeated blocks."""
    name = f"t_{request.node.originalname}"
    client.command(
        f"CREATE TABLE {name} (id UInt64, s String) ENGINE = MergeTree ORDER BY id "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    client.command(f"DROP TABLE {name}")


def count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").first_row[0])


def test_the_client_learns_version_and_time_zone(client: Client) -> None:
    assert client.server_version.startswith("26.")
    assert client.ping()


COLUMNS = [
    ("UUID", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("String", "é\t\n'\\\0 snowman ☃"),
    ("LowCardinality(String)", "sms"),
    ("FixedString(3)", b"abc"),
    ("Nullable(Int32)", None),
    ("UInt64", 2**64 - 1),
    ("Int8", -128),
    ("Float64", 1.5),
    ("Bool", True),
    ("Decimal(18, 6)", decimal.Decimal("0.007500")),
    ("Date", datetime.date(2026, 11, 21)),
    ("DateTime('UTC')", datetime.datetime(2026, 11, 21, 9, 40, 1)),
    ("DateTime64(3, 'UTC')", datetime.datetime(2026, 11, 21, 9, 40, 1, 123000)),
    ("Enum8('sent' = 1, 'delivered' = 2)", "delivered"),
    ("IPv4", ipaddress.IPv4Address("192.0.2.1")),
    ("IPv6", ipaddress.IPv6Address("2001:db8::1")),
    ("Array(LowCardinality(String))", ["a", "b"]),
    ("Map(String, UInt8)", {"k": 1}),
    ("Tuple(Int8, String)", (1, "x")),
]


@pytest.mark.parametrize(("type_name", "value"), COLUMNS, ids=[name for name, _ in COLUMNS])
def test_a_value_of_each_type_comes_back_as_it_was(client: Client, type_name: str, value: object) -> None:
    client.command("DROP TABLE IF EXISTS one_value")
    client.command(f"CREATE TABLE one_value (v {type_name}) ENGINE = MergeTree ORDER BY tuple()")
    client.insert("one_value", [[value]], ["v"])
    assert client.query("SELECT v FROM one_value").first_row[0] == value


def test_a_large_insert_arrives_whole(client: Client, table: str) -> None:
    summary = client.insert(
        table,
        [list(range(200_000)), [f"row {n}" for n in range(200_000)]],
        ["id", "s"],
        column_oriented=True,
    )
    assert summary.written_rows == 200_000
    assert client.query(f"SELECT count(), uniqExact(s), sum(id) FROM {table}").first_row == (
        200_000,
        200_000,
        sum(range(200_000)),
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", False])
def test_inserts_of_several_blocks_arrive_whatever_their_compression(
    url: str, table: str, compression: str | bool
) -> None:
    client = connect(url, compress=compression)
    numbers = list(range(150_000))
    client.insert(table, [numbers, [f"row {n}" for n in numbers]], ["id", "s"], column_oriented=True)
    assert client.query(f"SELECT count(), sum(id) FROM {table}").first_row == (150_000, sum(numbers))
    client.close()


def test_a_repeated_deduplication_token_inserts_nothing(client: Client, table: str) -> None:
    for token in ("a", "a", "b"):
        client.insert(
            table, [[1, "x"]], ["id", "s"], settings={"insert_deduplication_token": token, "async_insert": 0}
        )
    assert count(client, table) == 2


def test_a_repeated_token_is_dropped_behind_a_materialized_view_whose_table_deduplicates(
    client: Client, table: str
) -> None:
    client.command(
        "CREATE TABLE per_id (id UInt64, n UInt64) ENGINE = SummingMergeTree ORDER BY id "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    client.command(f"CREATE MATERIALIZED VIEW to_per_id TO per_id AS SELECT id, 1 AS n FROM {table}")
    settings = {
        "insert_deduplication_token": "range 0-9",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
    for _ in range(2):
        client.insert(table, [[1, "x"]], ["id", "s"], settings=settings)
    assert client.query("SELECT sum(n) FROM per_id").first_row == (1,)
    client.command("DROP VIEW to_per_id")
    client.command("DROP TABLE per_id")


def test_typed_parameters_are_bound_by_the_server(client: Client) -> None:
    values = {
        "n": 7,
        "s": "it's\t\\ \n; DROP",
        "a": ["p", "q'"],
        "d": datetime.datetime(2026, 1, 1),
        "none": None,
    }
    row = client.query(
        "SELECT {n:UInt8}, {s:String}, {a:Array(String)}, {d:DateTime}, {none:Nullable(String)}", values
    ).first_row
    assert row == tuple(values.values())


def test_parameters_may_come_in_a_form(url: str) -> None:
    client = connect(url, form_encode_query_params=True)
    assert client.query("SELECT {s:String}", {"s": "x\ty ☃"}).first_row == ("x\ty ☃",)
    client.close()


def test_rows_can_be_streamed(client: Client) -> None:
    with client.query_rows_stream("SELECT number FROM numbers(100000)") as rows:
        assert sum(row[0] for row in rows) == sum(range(100_000))


def test_a_raw_query_answers_in_the_format_asked_for(client: Client) -> None:
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'
    assert client.raw_query("SELECT 1 AS x FORMAT CSVWithNames") == b'"x"\n1\n'


def test_raw_data_can_be_inserted(client: Client, table: str) -> None:
    client.raw_insert(table, ["id", "s"], b'{"id":1,"s":"a"}\n{"id":2,"s":"b"}\n', fmt="JSONEachRow")
    assert client.query(f"SELECT * FROM {table} ORDER BY id").result_rows == [(1, "a"), (2, "b")]


def test_a_setting_ends_with_its_query(client: Client) -> None:
    query = "SELECT getSetting('max_threads'), getSetting('insert_deduplication_token')"
    default = client.query(query).first_row
    settings = {"max_threads": 3, "insert_deduplication_token": "it's"}
    assert client.query(query, settings=settings).first_row == (3, "it's")
    assert client.query(query).first_row == default


def test_a_temporary_table_belongs_to_its_session(url: str, client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a Int8)")
    client.insert("mine", [[1], [2]], ["a"])
    assert client.query("SELECT sum(a) FROM mine").first_row == (3,)
    other = connect(url)
    with pytest.raises(DatabaseError) as raised:
        other.query("SELECT * FROM mine")
    other.close()
    assert raised.value.code == 60


def test_a_client_works_in_its_database(url: str, client: Client) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS notify")
    inside = connect(url, database="notify")
    inside.command("CREATE TABLE inside (a Int8) ENGINE = MergeTree ORDER BY a")
    inside.insert("inside", [[1]], ["a"])
    inside.close()
    assert count(client, "notify.inside") == 1
    client.command("DROP DATABASE notify")


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT toUInt8('x')", 6, "CANNOT_PARSE_TEXT"),
        ("SELECT * FROM nowhere.t", 81, "UNKNOWN_DATABASE"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
    ],
)
def test_an_error_is_the_clients_exception_with_its_code(
    client: Client, sql: str, code: int, name: str
) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.command(sql)
    assert (raised.value.code, raised.value.name) == (code, name)


def test_a_failed_insert_leaves_nothing_and_the_session_usable(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.raw_insert(table, ["id", "s"], b"1\tgood\nbad\t\xff\xfe\n", fmt="TSV")
    assert raised.value.code == 27
    assert count(client, table) == 0


async def test_the_async_client_inserts_and_queries_side_by_side(url: str, table: str) -> None:
    parts = urlsplit(url)
    client = await clickhouse_connect.get_async_client(host=parts.hostname, port=parts.port)
    try:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(client.insert, table, [[number, "x"]], ["id", "s"])
        result = await client.query(f"SELECT sum(id) FROM {table}")
        assert result.first_row == (45,)
    finally:
        await client.close()


def test_parallel_inserts_and_queries_lose_nothing(url: str, client: Client, table: str) -> None:
    def insert(writer: int) -> None:
        own = connect(url)
        for batch in range(10):
            first = (writer * 10 + batch) * 100
            own.insert(table, [[first + n, "x"] for n in range(100)], ["id", "s"])
            own.query(f"SELECT count() FROM {table}")
        own.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(insert, range(6)))
    assert client.query(f"SELECT count(), uniqExact(id) FROM {table}").first_row == (6000, 6000)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_inserted_is_there_after_a_restart(tmp_path: Path, end: signal.Signals) -> None:
    options = ("--data", str(tmp_path / "data"))
    with running("sandbox.clickhouse", *options, log=tmp_path / "log") as server:
        client = connect(server.address)
        client.command("CREATE TABLE default.kept (a Int8) ENGINE = MergeTree ORDER BY a")
        client.command("CREATE TABLE seen (a Int8) ENGINE = MergeTree ORDER BY a")
        client.command("CREATE MATERIALIZED VIEW view TO seen AS SELECT a FROM kept")
        client.insert("kept", [[1], [2]], ["a"])
        client.close()
        os.kill(server.pid, end)
    with running("sandbox.clickhouse", *options, log=tmp_path / "log") as server:
        client = connect(server.address)
        client.insert("kept", [[3]], ["a"])
        assert client.query("SELECT currentDatabase(), sum(a) FROM kept").first_row == ("default", 6)
        assert client.query("SELECT sum(a) FROM seen").first_row == (6,)
        client.close()


def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "data"))
    with running("sandbox.clickhouse", *options, log=tmp_path / "log"):
        second = subprocess.run(
            [sys.executable, "-m", "sandbox.clickhouse", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert second.returncode == 1
    assert "already running" in second.stderr
