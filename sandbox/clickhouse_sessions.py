"""HTTP sessions: each keeps one connection, with its settings and temporary tables, between its requests.

Guarantees: one request at a time per session, as in ClickHouse; a session lives until its timeout after its
last use, and is dropped earlier only when there are too many.
Leaves to `clickhouse_engine` what is done on the connection.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.clickhouse_chdb import Connection, connect
from sandbox.clickhouse_errors import Code, refusal

# ClickHouse's own `max_session_timeout`, in seconds.
MAX_SESSION_SECONDS = 3600
# Each held session keeps an engine connection: the ones unused for longest go beyond this number.
MAX_SESSIONS = 256


@dataclass(frozen=True, slots=True)
class HttpSession:
    """A request's session: its settings and temporary tables live until `timeout_s` after its last use."""

    id: str
    timeout_s: float = 60.0
    must_exist: bool = False


@dataclass(slots=True)
class _Held:
    """An HTTP session's connection, and who may use it until when."""

    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    expires: float = 0.0


class Sessions:
    """The sessions over the engine at `path`. Safe to use from several threads."""

    __slots__ = ("_held", "_lock", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, wanted: HttpSession) -> Iterator[Connection]:
        """The session's connection for the block, and for nobody else.

        Raises ClickHouseError SESSION_IS_LOCKED, SESSION_NOT_FOUND or INVALID_SESSION_TIMEOUT.
        """
        held = self._hold(wanted)
        try:
            yield held.connection
        finally:
            with self._lock:
                held.expires = time.monotonic() + wanted.timeout_s
                held.lock.release()

    def forget(self, wanted: HttpSession) -> None:
        """Drop a session whose state its client would not expect; call it inside its `connection` block."""
        with self._lock:
            held = self._held.pop(wanted.id, None)
        if held is not None:
            held.connection.close()

    def close(self) -> None:
        with self._lock:
            for held in self._held.values():
                held.connection.close()
            self._held.clear()

    def _hold(self, wanted: HttpSession) -> _Held:
        """The session's connection, locked for the caller, who unlocks it."""
        if not 0 < wanted.timeout_s <= MAX_SESSION_SECONDS:
            raise refusal(
                Code.INVALID_SESSION_TIMEOUT,
                f"Invalid session timeout: '{wanted.timeout_s:g}', it is limited to {MAX_SESSION_SECONDS} s",
            )
        with self._lock:
            self._drop_unused()
            held = self._held.get(wanted.id)
            if held is None:
                if wanted.must_exist:
                    raise refusal(Code.SESSION_NOT_FOUND, f"Session {wanted.id} not found")
                held = self._held[wanted.id] = _Held(connect(self._path))
            # Not waited for: so does ClickHouse, and a client that shares a session should learn it here.
            if not held.lock.acquire(blocking=False):
                raise refusal(Code.SESSION_IS_LOCKED, f"Session {wanted.id} is locked by a concurrent client")
            # Until the request's end sets the real one, nobody may think it unused.
            held.expires = float("inf")
            return held

    def _drop_unused(self) -> None:
        now = time.monotonic()
        idle = sorted(
            (held.expires, name) for name, held in self._held.items() if held.expires < float("inf")
        )
        excess = len(self._held) + 1 - MAX_SESSIONS
        for number, (expires, name) in enumerate(idle):
            if expires < now or number < excess:
                self._held.pop(name).connection.close()
