"""Where a statement ends and its data begin; everything else is the engine's to judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clickhouse_errors import ClickHouseError
from sandbox.clickhouse_sql import Kind, read_statement

INSERTS = [
    b"INSERT INTO t FORMAT Native\n",
    b"insert into t format Native\r\n",
    b'INSERT INTO TABLE `d b`.`t` (`a`, "b)", c) FORMAT Native ',
    b"/* FORMAT CSV */ INSERT INTO t (a) -- FORMAT CSV\n SETTINGS x = 'FORMAT CSV' FORMAT Native\n",
    b"INSERT INTO values FORMAT Native\n",
    b"INSERT INTO format (format, values) FORMAT Native\n",
]


@given(head=st.sampled_from(INSERTS), data=st.binary(max_size=200))
def test_the_data_of_an_insert_are_left_as_they_are(head: bytes, data: bytes) -> None:
    # The blanks and the one line end after the format's name are the statement's; a ; there is an error.
    data = b"\x00" + data
    statement = read_statement(head + data)
    assert statement.kind is Kind.INSERT
    assert statement.format == "Native"
    assert (head + data)[statement.data_at :] == data


@pytest.mark.parametrize(
    ("sql", "reading"),
    [
        (b"INSERT INTO t FORMAT CSV\n1", b"INSERT INTO t  FROM INFILE 'f' COMPRESSION 'none' FORMAT CSV"),
        (
            b"INSERT INTO t (a) SETTINGS x=1 FORMAT CSV\n1",
            b"INSERT INTO t (a)  FROM INFILE 'f' COMPRESSION 'none' SETTINGS x=1 FORMAT CSV",
        ),
        (
            b"INSERT INTO t SELECT a FROM input('a Int8') WHERE a > 1 FORMAT CSV\n1",
            b"INSERT INTO t SELECT a FROM file('f', 'CSV', 'a Int8') WHERE a > 1 ",
        ),
    ],
)
def test_data_are_read_from_a_file_instead(sql: bytes, reading: bytes) -> None:
    assert read_statement(sql).reading_from("f") == reading


@pytest.mark.parametrize(
    ("sql", "kind", "format_name"),
    [
        (b"SELECT 1", Kind.READ, None),
        (b"SELECT 1 FORMAT JSONEachRow", Kind.READ, "JSONEachRow"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", Kind.READ, "JSON"),
        (b"-- why\nwith 1 as x select x", Kind.READ, None),
        (b"(SELECT 1) UNION ALL (SELECT 2)", Kind.READ, None),
        (b"SELECT ' FORMAT CSV ; SELECT 2', `;`, $a$ FORMAT CSV; $a$", Kind.READ, None),
        (b"SELECT 'it''s \\' FORMAT CSV'", Kind.READ, None),
        (b"SHOW TABLES FORMAT TSV", Kind.READ, "TSV"),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", Kind.WRITE, None),
        (b"INSERT INTO t VALUES (1), (2);", Kind.WRITE, None),
        (b"INSERT INTO t SELECT * FROM u", Kind.WRITE, None),
        (b"INSERT INTO t (a) (SELECT 1)", Kind.WRITE, None),
        (b"INSERT INTO FUNCTION null('a Int8') SELECT 1", Kind.WRITE, None),
        (b"OPTIMIZE TABLE t FINAL", Kind.WRITE, None),
    ],
)
def test_a_statement_is_recognised(sql: bytes, kind: Kind, format_name: str | None) -> None:
    statement = read_statement(sql)
    assert (statement.kind, statement.format) == (kind, format_name)
    assert statement.data_at is None


def test_a_semicolon_at_the_end_is_not_a_second_statement() -> None:
    assert read_statement(b"SELECT 1; -- done\n;").sql == b"SELECT 1"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (b"SELECT 1; SELECT 2", 62),
        (b"INSERT INTO t SELECT 1; DROP TABLE t", 62),
        (b"INSERT INTO t FORMAT CSV; 1", 62),
        (b"  -- nothing\n", 62),
        (b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 78),
    ],
)
def test_what_http_does_not_allow_is_refused(sql: bytes, code: int) -> None:
    with pytest.raises(ClickHouseError) as raised:
        read_statement(sql)
    assert raised.value.code == code


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(source: bytes) -> None:
    try:
        statement = read_statement(source)
    except ClickHouseError as error:
        assert error.code in (62, 78)  # noqa: PT017 - one of the two outcomes, and both are checked
    else:
        assert source.startswith(statement.sql)
