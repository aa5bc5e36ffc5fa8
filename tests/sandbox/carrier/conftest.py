"""A simulator per set of options, and a receiver of webhooks that does as it is told.

Both are real servers on 127.0.0.1; the simulator is its own process, as in use.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from tests import servers
from tests.sandbox.carrier.support import ACCOUNT, KEY, PATIENCE_S, SECRET, TOKEN, Hook, Receiver, Simulator


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            params = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
            it.hooks.append(Hook(self.path, dict(self.headers), params))
            scripted = it.script[self.path.split("?")[0]]
            status = scripted.popleft() if scripted else 204
            if status == 0:
                it.ended.wait(PATIENCE_S)
                self.close_connection = True
                return
            text = it.twiml.encode() if status == 200 else b""
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A simulator that hangs up is part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        it = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield it
        it.ended.set()
        server.shutdown()
        thread.join()


Start = Callable[..., Simulator]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a simulator with these options; one with equal options is shared. All end with the session."""
    logs = tmp_path_factory.mktemp("carrier")
    secrets = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_KEY_SID": KEY,
        "TWILIO_API_KEY_SECRET": SECRET,
    }
    with ExitStack() as stack:
        up: dict[tuple[str, ...], Simulator] = {}

        def begin(*options: str) -> Simulator:
            if options not in up:
                log = logs / f"{len(up)}.log"
                server = servers.running("sandbox.carrier", *options, log=log, env=secrets)
                up[options] = Simulator(stack.enter_context(server).address, log)
            return up[options]

        yield begin


@pytest.fixture
def simulator(start: Start) -> Simulator:
    """The quiet one: no chaos, short delays."""
    return start("--seed", "7", "--time-scale", "0.02")
