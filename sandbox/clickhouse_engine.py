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
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.clickhouse_chdb import Connection, Result, connect, query, quoted, text
from sandbox.clickhouse_errors import ClickHouseError, Code, refusal
from sandbox.clickhouse_sessions import HttpSession, Sessions
from sandbox.clickhouse_sql import Kind, Statement

# A statement that runs longer than this at the end is left behind unanswered.
CLOSE_SECONDS = 10.0

log = logging.getLogger(__name__)


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


class Engine:
    """The engine over `directory`, from the constructor to `close`.

    Raises ClickHouseError when the engine cannot start there. Changes the process's working directory to one
    that holds only the data of running inserts: the engine takes any file in it for a table of that name.
    """

    def __init__(self, directory: Path) -> None:
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        self._path = str(directory / "engine")
        # Kept open for as long as the server lives: the engine ends with its last connection.
        self._keeper = connect(self._path)
        # Only now is the directory ours. What lies here is of inserts that a kill interrupted.
        self._incoming = directory / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()
        os.chdir(self._incoming)
        self._sessions = Sessions(self._path)
        self._idle = threading.Condition()
        self._running = 0
        self._closed = False
        self.version, self.timezone = self._about()

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
        self._sessions.close()
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
            with closing(connect(self._path)) as connection:
                _set_up(connection, job)
                return self._execute(connection, job)
        with (
            self._sessions.connection(job.session) as connection,
            self._restored(connection, job, job.session),
        ):
            _set_up(connection, job)
            return self._execute(connection, job)

    @contextmanager
    def _restored(self, connection: Connection, job: Job, session: HttpSession) -> Iterator[None]:
        """Undo after the block what came with the request; what a SET or USE statement did stays."""
        undo: list[str] = []
        if job.database is not None:
            current = (
                query(connection, "SELECT currentDatabase()", "TabSeparatedRaw").body.decode().rstrip("\n")
            )
            undo.append(f"USE {quoted(current, '`')}")
        if job.settings:
            undo.append("SET " + ", ".join(f"{name} = DEFAULT" for name, _ in job.settings))
        try:
            yield
        finally:
            try:
                for sql in undo:
                    query(connection, sql)
            except ClickHouseError as error:
                # The session's own database was dropped meanwhile. Without its session the client starts
                # anew; with one in a state of ours it would be answered wrongly.
                log.info("session %s is dropped: %s", session.id, error)
                self._sessions.forget(session)

    def _execute(self, connection: Connection, job: Job) -> Result:
        parameters = dict(job.parameters)
        if job.statement.kind not in (Kind.INSERT, Kind.INSERT_SELECT):
            return query(connection, text(job.statement.sql), job.format, parameters)
        # The name is relative to the working directory, so that no character of its path can mean anything.
        name = f"insert-{uuid.uuid4().hex}"
        file = self._incoming / name
        try:
            file.write_bytes(job.data)
            return query(connection, text(job.statement.reading_from(name)), job.format, parameters)
        finally:
            file.unlink(missing_ok=True)

    def _about(self) -> tuple[str, str]:
        version, timezone = query(self._keeper, "SELECT version(), timezone()").body.decode().split()
        return version, timezone


def _set_up(connection: Connection, job: Job) -> None:
    if job.database is not None:
        query(connection, f"USE {quoted(job.database, '`')}")
    if job.settings:
        pairs = ", ".join(f"{name} = {quoted(value, chr(39))}" for name, value in job.settings)
        query(connection, f"SET {pairs}")
