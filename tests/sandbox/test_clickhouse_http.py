"""The HTTP interface itself, as curl and other people's clients use it."""

# ruff: noqa: S608 - the names in the statements are the tests' own

import gzip
import http.client
import json
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import lz4.frame
import pytest

from tests.servers import running


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    url: str,
    body: bytes | str | None = None,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    path: str = "/",
    **parameters: object,
) -> Answer:
    """One request on its own connection: POST with a body, GET without, unless said otherwise."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        connection.request(method or ("GET" if body is None else "POST"), target, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("clickhouse")
    options = ("--data", str(directory / "data"), "--max-body-mb", "1")
    with running("sandbox.clickhouse", *options, log=directory / "log") as server:
        yield server.address


@pytest.fixture
def table(request: pytest.FixtureRequest, url: str) -> Iterator[str]:
    name = f"t_{request.node.originalname}"
    assert ask(url, f"CREATE TABLE {name} (id UInt64, s String) ENGINE = MergeTree ORDER BY id").status == 200
    yield name
    assert ask(url, f"DROP TABLE {name}").status == 200


def rows(url: str, table: str) -> bytes:
    return ask(url, f"SELECT * FROM {table} ORDER BY id FORMAT CSV").body


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_a_living_server_says_ok(url: str, path: str) -> None:
    answer = ask(url, path=path)
    assert (answer.status, answer.body) == (200, b"Ok.\n")
    assert answer.headers["X-ClickHouse-Server-Display-Name"]


def test_a_query_in_the_url_answers_tab_separated(url: str) -> None:
    answer = ask(url, query="SELECT 1, 'a'")
    assert (answer.status, answer.body) == (200, b"1\ta\n")
    assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert answer.headers["Content-Type"].startswith("text/tab-separated-values")


def test_the_format_comes_from_the_query_the_parameter_or_the_header(url: str) -> None:
    assert ask(url, "SELECT 1 AS x FORMAT JSONEachRow").body == b'{"x":1}\n'
    assert ask(url, "SELECT 1 AS x", default_format="CSVWithNames").body == b'"x"\n1\n'
    assert ask(url, "SELECT 1 AS x", headers={"X-ClickHouse-Format": "JSONEachRow"}).body == b'{"x":1}\n'


def test_parameters_and_settings_come_in_the_url(url: str) -> None:
    answer = ask(url, "SELECT {x:UInt8} + 1, getSetting('max_threads')", param_x=4, max_threads=2)
    assert answer.body == b"5\t2\n"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("JSONEachRow", b'{"id":1,"s":"a"}\n{"id":2,"s":"b"}\n', b'1,"a"\n2,"b"\n'),
        ("CSV", b'1,"a"\n2,b\n', b'1,"a"\n2,"b"\n'),
        ("TabSeparated", b"1\ta\n", b'1,"a"\n'),
        ("Values", b"(1,'a'),(2,'b')", b'1,"a"\n2,"b"\n'),
        ("CSV", b"", b""),
    ],
)
def test_data_may_follow_the_statement_in_the_body_or_be_the_body(
    url: str, table: str, name: str, data: bytes, expected: bytes
) -> None:
    statement = f"INSERT INTO {table} (id, s) FORMAT {name}"
    assert ask(url, data, query=statement).status == 200
    assert rows(url, table) == expected
    ask(url, f"TRUNCATE TABLE {table}")
    assert ask(url, statement.encode() + b"\n" + data).status == 200
    assert rows(url, table) == expected


def test_an_insert_reports_what_it_wrote(url: str, table: str) -> None:
    answer = ask(url, b"1,a\n2,b\n", query=f"INSERT INTO {table} FORMAT CSV", query_id="mine")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"


def test_values_may_be_expressions(url: str, table: str) -> None:
    assert ask(url, f"INSERT INTO {table} VALUES (1 + 1, upper('a')), (3, 'b');").status == 200
    assert rows(url, table) == b'2,"A"\n3,"b"\n'


def test_an_insert_may_transform_its_input(url: str, table: str) -> None:
    sql = f"INSERT INTO {table} SELECT a * 10, 'x' FROM input('a UInt64') FORMAT CSV\n1\n2\n"
    assert ask(url, sql).status == 200
    assert rows(url, table) == b'10,"x"\n20,"x"\n'


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        ("gzip", gzip.compress(b"1,a\n", mtime=0)),
        ("deflate", zlib.compress(b"1,a\n")),
        ("lz4", lz4.frame.compress(b"1,a\n")),
    ],
)
def test_a_body_may_be_compressed(url: str, table: str, encoding: str, compressed: bytes) -> None:
    answer = ask(
        url, compressed, headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT CSV"
    )
    assert answer.status == 200
    assert rows(url, table) == b'1,"a"\n'


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("rot13", b"frk", "89"),
        ("gzip", b"not gzip", "271"),
        ("gzip", gzip.compress(bytes(1000), mtime=0)[:-9], "271"),
        ("gzip", gzip.compress(bytes(2_000_000), mtime=0), "229"),
        ("", bytes(2_000_000), "229"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused(
    url: str, table: str, encoding: str, body: bytes, code: str
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    answer = ask(url, body, headers=headers, query=f"INSERT INTO {table} FORMAT CSV")
    assert answer.headers["X-ClickHouse-Exception-Code"] == code
    assert rows(url, table) == b""


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELEC 1", 400, "62"),
        ("SELECT throwIf(1)", 500, "395"),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1, timeout_overflow_mode = 'throw'", 408, "159"),
    ],
)
def test_an_exception_has_clickhouses_status_code_and_words(
    url: str, sql: str, status: int, code: str
) -> None:
    answer = ask(url, sql)
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert b"(version " in answer.body


def test_an_unknown_setting_is_refused(url: str) -> None:
    answer = ask(url, "SELECT 1", no_such_setting=1)
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "115")


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_block_compression_is_refused_by_name(url: str, name: str) -> None:
    answer = ask(url, "SELECT 1", **{name: 1})
    assert answer.status == 501
    assert f"{name}=1".encode() in answer.body


def test_a_get_changes_nothing(url: str, table: str) -> None:
    answer = ask(url, query=f"INSERT INTO {table} VALUES (1, 'a')")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert rows(url, table) == b""


def test_a_session_remembers_and_is_only_found_when_it_exists(url: str) -> None:
    missing = ask(url, "SELECT 1", session_id="s1", session_check=1)
    assert missing.headers["X-ClickHouse-Exception-Code"] == "372"
    ask(url, "SET max_threads = 3", session_id="s1")
    answer = ask(url, "SELECT getSetting('max_threads')", session_id="s1", session_check=1)
    assert answer.body == b"3\n"


def test_what_came_with_a_request_does_not_stay_in_its_session(url: str) -> None:
    query = "SELECT currentDatabase(), getSetting('insert_deduplication_token')"
    ask(url, "SET max_threads = 3", session_id="s2")
    given = ask(url, query, session_id="s2", database="system", insert_deduplication_token="once")
    assert given.body == b"system\tonce\n"
    assert ask(url, query, session_id="s2").body == b"default\t\n"
    assert ask(url, "SELECT getSetting('max_threads')", session_id="s2").body == b"3\n"


def test_an_unknown_setting_leaves_the_session_as_it_was(url: str) -> None:
    ask(url, "SET max_threads = 3", session_id="s3")
    assert ask(url, "SELECT 1", session_id="s3", no_such_setting=1).status == 404
    answer = ask(url, "SELECT getSetting('max_threads')", session_id="s3", session_check=1)
    assert answer.body == b"3\n"


def test_a_session_whose_database_is_gone_is_dropped_with_it(url: str) -> None:
    ask(url, "CREATE DATABASE gone")
    ask(url, "USE gone", session_id="s4")
    ask(url, "DROP DATABASE gone")
    assert ask(url, "SELECT 1", session_id="s4", database="default").body == b"1\n"
    answer = ask(url, "SELECT 1", session_id="s4", session_check=1)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "372"


def test_a_session_serves_one_query_at_a_time(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(ask, url, "SELECT sleep(3)", session_id="busy") for _ in range(2)]
    codes = [each.result().headers["X-ClickHouse-Exception-Code"] for each in both]
    assert sorted(codes, key=str) == ["373", None]


def test_ping_answers_while_a_query_runs(url: str) -> None:
    finished = threading.Event()

    def compute() -> None:
        ask(url, "SELECT sleep(2)")
        finished.set()

    slow = threading.Thread(target=compute)
    slow.start()
    try:
        for _ in range(20):
            assert ask(url, path="/ping").status == 200
        assert not finished.is_set()
    finally:
        slow.join()


def test_only_the_configured_user_comes_in(tmp_path: Path) -> None:
    with running(
        "sandbox.clickhouse",
        "--data",
        str(tmp_path / "data"),
        log=tmp_path / "log",
        env={"SANDBOX_CLICKHOUSE_USER": "ana", "SANDBOX_CLICKHOUSE_PASSWORD": "s3cret"},
    ) as server:
        basic = b64encode(b"ana:s3cret").decode()
        for right in (
            {"Authorization": f"Basic {basic}"},
            {"X-ClickHouse-User": "ana", "X-ClickHouse-Key": "s3cret"},
        ):
            assert ask(server.address, "SELECT 1", headers=right).body == b"1\n"
        assert ask(server.address, "SELECT 1", user="ana", password="s3cret").body == b"1\n"
        for wrong in ({}, {"X-ClickHouse-User": "ana"}, {"Authorization": "Basic !"}):
            answer = ask(server.address, "SELECT 1", headers=wrong)
            assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert ask(server.address, path="/ping").status == 200
