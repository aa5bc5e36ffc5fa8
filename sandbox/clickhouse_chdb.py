"""chDB's binding, typed: connections, statements, and what went wrong in the engine's words.

Guarantees: every failure is a ClickHouseError; a connection shares nothing with another but the data.
Leaves to `clickhouse_engine` who uses which connection, and for how long.
"""

import time
from dataclasses import dataclass
from typing import Protocol

from chdb.session import Session

from sandbox.clickhouse_errors import Code, from_engine, refusal


@dataclass(frozen=True, slots=True)
class Result:
    """What came out, in the format, and what it took. Rows and bytes read are the storage's."""

    body: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    result_rows: int
    elapsed_s: float


class Answer(Protocol):
    """What chDB's binding returns; it has no types of its own."""

    def bytes(self) -> bytes: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def rows_read(self) -> int: ...


class Connection(Protocol):
    def query(self, sql: str, fmt: str, *, params: dict[str, str] | None) -> Answer: ...
    def close(self) -> None: ...


def connect(path: str) -> Connection:
    """A connection to the engine over the directory `path`, starting the engine if there is no other.

    About 1 ms once the engine runs. Raises ClickHouseError, CANNOT_OPEN_FILE when another process has it.
    """
    try:
        connection: Connection = Session(path)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise from_engine(str(error)) from error
    return connection


def query(
    connection: Connection,
    sql: str,
    result_format: str = "TabSeparated",
    parameters: dict[str, str] | None = None,
) -> Result:
    started = time.perf_counter()
    try:
        answer = connection.query(sql, result_format, params=parameters or None)
    except UnicodeDecodeError as error:
        # The engine's message quotes the data; the binding can only build an exception from UTF-8.
        raise from_engine(error.object.decode(errors="replace")) from error
    except RuntimeError as error:
        raise from_engine(str(error)) from error
    return Result(
        body=answer.bytes(),
        read_rows=answer.storage_rows_read(),
        read_bytes=answer.storage_bytes_read(),
        written_rows=answer.rows_written(),
        written_bytes=answer.bytes_written(),
        result_rows=answer.rows_read(),
        elapsed_s=time.perf_counter() - started,
    )


def text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise refusal(
            Code.SYNTAX_ERROR,
            f"The statement is not UTF-8 at byte {error.start}: send such values as data, with a FORMAT",
        ) from error


def quoted(value: str, quote: str) -> str:
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
