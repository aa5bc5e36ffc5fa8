"""Whether a process gets on with its work, and `/healthz` that says so.

Liveness is progress, not presence: a consumer that stopped consuming (Faust #175, #640) still has a process
and a heartbeat. 503 when the event loop does not turn, when a partition has records and its position did not
move for `PATIENCE_S`, or when a transaction is open for as long; 200 otherwise, also while rows are recovered
or nothing is assigned. Whoever runs the process (systemd, Kubernetes) restarts it; nothing is lost by that.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from streams.progress import Progress

log = structlog.get_logger(__name__)

PATIENCE_S = 60.0
LOOK_EVERY_S = 1.0
_LOOP_PATIENCE_S = 15.0


class Liveness:
    """`look` is called every second on the event loop, `trouble` from any thread. Times are monotonic (s)."""

    def __init__(self, now: float, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._looked_at = now
        self._moved: dict[Any, tuple[int, float]] = {}
        self._found: str | None = None

    def look(self, now: float, progress: Mapping[Any, Progress], open_since: float | None) -> None:
        """`open_since`: when the oldest write that is not committed was made."""
        moved: dict[Any, tuple[int, float]] = {}
        for place, each in progress.items():
            position, since = self._moved.get(place, (-1, now))
            moved[place] = (each.position, now if each.position != position or not each.lag else since)
        self._moved = moved
        self._looked_at = now
        self._found = None
        still = {place: now - since for place, (_, since) in moved.items() if now - since > self._patience_s}
        if still:
            place, seconds = max(still.items(), key=lambda each: each[1])
            self._found = (
                f"{place.topic} [{place.partition}] has records and did not advance for {seconds:.0f} s"
            )
        elif open_since is not None and now - open_since > self._patience_s:
            self._found = f"nothing was committed for {now - open_since:.0f} s"

    def trouble(self, now: float) -> str | None:
        """What is wrong, or None."""
        silent = now - self._looked_at
        return f"the event loop did not turn for {silent:.0f} s" if silent > _LOOP_PATIENCE_S else self._found


@contextmanager
def served(liveness: Liveness, host: str, port: int | None) -> Iterator[int | None]:
    """While the block runs, /healthz answers there; without a port nowhere. Yields it. Raises OSError."""
    if port is None:
        yield None
        return

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            trouble = liveness.trouble(time.monotonic())
            known = self.path == "/healthz"
            self.send_response(404 if not known else 503 if trouble else 200)
            body = json.dumps({"alive": trouble is None, "trouble": trouble}).encode() if known else b""
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A probe every few seconds is no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="healthz", daemon=True)
    thread.start()
    log.info("health.served", address=f"http://{host}:{server.server_port}/healthz")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
