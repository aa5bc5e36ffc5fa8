"""What every sandbox server does the same way: its options, its READY line, its end.

Guarantees: `READY <address>` is the only line on stdout and appears once the server answers; SIGTERM and
SIGINT end the process with exit status 0; with `--exit-with-stdin` so does the end of stdin, which comes
even when the parent was killed with -9 and could not clean up.
Leaves to others: what is served, and where its data lies.
"""

import argparse
import os
import signal
import socket
import sys
import threading
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

HANDLED_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Clients pool connections; one closed while idle looks like a lost request to those that may not retry.
KEEP_ALIVE_SECONDS = 75
# A request still running at the end of the process gets this long before its connection is cut.
GRACEFUL_SECONDS = 5
# Beyond this many open requests uvicorn answers 503: a runaway client fails loudly instead of eating memory.
MAX_REQUESTS = 1000


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add `--host`, `--port` and `--exit-with-stdin`, which every sandbox server takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on; 0 takes any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="end when stdin reaches its end, so that the server never outlives what started it",
    )


def announce(address: str) -> None:
    """Print the READY line. Call it once, when the server already answers at `address`."""
    print(f"READY {address}", flush=True)


def end_with_stdin() -> None:
    """Send this process SIGTERM when its stdin reaches its end; returns at once.

    Install the handler of SIGTERM before: an end of stdin that is already there is acted on immediately.
    """
    threading.Thread(target=_await_end_of_stdin, name="end-with-stdin", daemon=True).start()


def ending() -> threading.Event:
    """An event that SIGTERM and SIGINT set, for servers that are not ASGI applications."""
    event = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        event.set()

    for handled in HANDLED_SIGNALS:
        signal.signal(handled, end)
    return event


def serve(app: ASGIApp, *, host: str, port: int, exit_with_stdin: bool) -> int:
    """Serve `app` over HTTP/1.1 until the process is told to end; returns the exit status.

    The status is 0 after SIGTERM, SIGINT or (if asked) the end of stdin, also when one of them comes during
    the start. The application's lifespan is run; a start that fails and a port that is taken raise
    SystemExit with uvicorn's status, the reason on stderr.
    """
    server = _AnnouncingServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_REQUESTS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    )

    def end(signum: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises each signal again after its shutdown. With these handlers in place beneath its own that
    # does not kill the process, and a signal that comes before uvicorn listens for it is not lost.
    for handled in HANDLED_SIGNALS:
        signal.signal(handled, end)
    if exit_with_stdin:
        end_with_stdin()
    server.run()
    return 0


class _AnnouncingServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        # The bound address, not the wanted one: with port 0 only the socket knows.
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def _await_end_of_stdin() -> None:
    if sys.stdin is not None:
        descriptor = sys.stdin.fileno()
        while os.read(descriptor, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
