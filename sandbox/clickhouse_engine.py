"""chDB as a server's engine: each request gets its own connection, each HTTP session keeps one.

Guarantees: settings, parameters and the current database of one request are never seen by another; data are
in the directory when `run` returns, and survive the end of the process, also by kill -9; a second server on
the same directory is refused by the engine's own lock. `run` may be called from several threads at once.
Leaves to `clickhouse_http` the request and the answer. chDB allows one engine in one process: so does this.

Traps, measured with chDB 4.4 (engine 26.9): a streaming insert of Native silently inserts nothing, therefore
data go through a file and INFILE; so does `INSERT … SELECT … FROM input(…)`, which inserts nothing at all; an
exception whose message holds bytes that are not UTF-8 arrives as UnicodeDecodeError.
"""

import logging
import os
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from chdb.session import Session

from sandbox.clickhouse_errors import Code, from_engine, refusal
from sandbox.clickhouse_sql import Kind, Statement

# ClickHouse's own `max_session_timeout`, in seconds.
MAX_SESSION_SECONDS = 3600
# Each held session keeps an engine connection: the ones unused for longest go beyond this number.
MAX_SESSIONS = 256
CLOSE_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpSession:
    """A request's session: its settings and temporary tables live until `timeout_s` after its last use."""

    id: str
    timeout_s: float = 60.0
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One statement with everything that came along. `format` is for results whose statement names none."""

    statement: Statement
    data: bytes = b""
    format: str = "TabSeparated"
    database: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    session: HttpSession | None = None


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


class _Answer(Protocol):
    """What chDB's binding returns; it has no types of its own."""

    def bytes(self) -> bytes: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def rows_read(self) -> int: ...


class _Connection(Protocol):
    def query(self, sql: str, fmt: str, *, params: dict[str, str] | None) -> _Answer: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Held:
    """An HTTP session's connection, and who may use it until when."""

    connection: _Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    expires: float = 0.0


class Engine:
    """The engine over `directory`, from the constructor to `close`.

    Raises ClickHouseError when the engine cannot start there. Changes the process's working directory to one
    that holds only the data of running inserts: the engine takes any file in it for a table of that name.
    """

    def __init__(self, directory: Path) -> None:
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        try:
            # Kept open for as long as the server lives: the engine ends with its last connection.
            self._keeper = _connect(str(directory / "engine"))
        except RuntimeError as error:
            raise from_engine(str(error)) from error
        # Only now is the directory ours. What lies here is of inserts that a kill interrupted.
        self._incoming = directory / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()
        os.chdir(self._incoming)
        self._path = str(directory / "engine")
        self._sessions: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = 0
        self._closed = False
        self.version, self.timezone = self._about()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, after what is running has ended; later calls of `run` are refused.

        Waits 10 s at most: closing an engine under a statement would crash it, and what still runs then has
        not been answered, so it is left to the end of the process.
        """
        with self._idle:
            self._closed = True
            if not self._idle.wait_for(lambda: self._running == 0, CLOSE_SECONDS):
                log.warning("%d statements still run: ending without them", self._running)
                return
            for held in self._sessions.values():
                held.connection.close()
            self._sessions.clear()
        self._keeper.close()

    def run(self, job: Job) -> Result:
        """Do `job` and wait for its end; raises ClickHouseError with the engine's code and words."""
        with self._idle:
            if self._closed:
                raise refusal(Code.ABORTED, "The server is shutting down")
            self._running += 1
        try:
            return self._run(job)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _run(self, job: Job) -> Result:
        if job.session is None:
            connection = _connect(self._path)
            try:
                return self._run_on(connection, job)
            finally:
                connection.close()
        held = self._hold(job.session)
        try:
            try:
                return self._run_on(held.connection, job)
            finally:
                # The settings of a request end with it; those of a SET statement stay with the session.
                if job.settings:
                    _query(
                        held.connection, "SET " + ", ".join(f"{name} = DEFAULT" for name, _ in job.settings)
                    )
        finally:
            held.expires = time.monotonic() + job.session.timeout_s
            held.lock.release()

    def _run_on(self, connection: _Connection, job: Job) -> Result:
        if job.database is not None:
            _query(connection, f"USE {_quoted(job.database, '`')}")
        if job.settings:
            pairs = ", ".join(f"{name} = {_quoted(value, chr(39))}" for name, value in job.settings)
            _query(connection, f"SET {pairs}")
        parameters = dict(job.parameters)
        if job.statement.kind not in (Kind.INSERT, Kind.INSERT_SELECT):
            return _query(connection, _text(job.statement.sql), job.format, parameters)
        # The name is relative to the working directory, so that no character of its path can mean anything.
        name = f"insert-{uuid.uuid4().hex}"
        file = self._incoming / name
        try:
            file.write_bytes(job.data)
            return _query(connection, _text(job.statement.reading_from(name)), job.format, parameters)
        finally:
            file.unlink(missing_ok=True)

    def _hold(self, wanted: HttpSession) -> _Held:
        """The session's connection, locked for the caller, who unlocks it."""
        if not 0 < wanted.timeout_s <= MAX_SESSION_SECONDS:
            raise refusal(
                Code.INVALID_SESSION_TIMEOUT,
                f"Invalid session timeout: '{wanted.timeout_s:g}', it is limited to {MAX_SESSION_SECONDS} s",
            )
        with self._lock:
            self._drop_unused()
            held = self._sessions.get(wanted.id)
            if held is None:
                if wanted.must_exist:
                    raise refusal(Code.SESSION_NOT_FOUND, f"Session {wanted.id} not found")
                held = self._sessions[wanted.id] = _Held(_connect(self._path))
            # Not waited for: so does ClickHouse, and a client that shares a session should learn it here.
            if not held.lock.acquire(blocking=False):
                raise refusal(Code.SESSION_IS_LOCKED, f"Session {wanted.id} is locked by a concurrent client")
            # Until the request's end sets the real one, nobody may think it unused.
            held.expires = float("inf")
            return held

    def _drop_unused(self) -> None:
        now = time.monotonic()
        idle = sorted(
            (held.expires, name) for name, held in self._sessions.items() if held.expires < float("inf")
        )
        excess = len(self._sessions) + 1 - MAX_SESSIONS
        for number, (expires, name) in enumerate(idle):
            if expires < now or number < excess:
                self._sessions.pop(name).connection.close()

    def _about(self) -> tuple[str, str]:
        version, timezone = _query(self._keeper, "SELECT version(), timezone()").body.decode().split()
        return version, timezone


def _connect(path: str) -> _Connection:
    # About 1 ms once the engine runs; connections share nothing but the data.
    connection: _Connection = Session(path)  # type: ignore[no-untyped-call]
    return connection


def _query(
    connection: _Connection,
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


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise refusal(
            Code.SYNTAX_ERROR,
            f"The statement is not UTF-8 at byte {error.start}: send such values as data, with a FORMAT",
        ) from error


def _quoted(value: str, quote: str) -> str:
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
