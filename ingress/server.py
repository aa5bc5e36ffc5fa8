"""The ingress as a process: uvicorn on uvloop until SIGTERM or SIGINT, alone or as one of several workers.

Guarantees: `on_ready` is called once it answers, with the address it really has; what cannot work is refused
with one sentence before anything is served; at the end requests under way get their answer, within the
acknowledgement time-out, clients are told to go (`connection: close`), and `run` returns; a second signal
makes that no shorter.
Changes for the whole process: the handling of signals while it runs, and the garbage collector.
Leaves to others: settings, logging, the supervision of several workers (`ingress.workers`).
"""

import gc
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingress.app import App
from ingress.clients import check_clients
from ingress.config import IngressConfig
from ingress.errors import ConfigError, IngressError
from ingress.exposing import Exposition, exposed
from ingress.guarding import Fault, Guard, Limits
from ingress.journal import JournalUnusable
from ingress.listening import BACKLOG, listening
from ingress.metrics import Metrics
from ingress.protocol import guarded

log = structlog.get_logger("ingress")

# Requests and idle connections beyond this are answered 503 by uvicorn: memory stays bounded in an outage,
# when each webhook waits for its deadline. Below the producer's queue of 100,000 records.
MOST_CONNECTIONS = 20_000
# Twilio and load balancers reuse connections; theirs should end first, or a request meets a closed one.
KEEP_ALIVE_S = 75
# More than the deadline of a request: time to write its answer.
GRACE_S = 1
# New objects until a collection; Python's own is 700, which some twenty requests make.
GC_THRESHOLD = 10_000


class PartsEnded(IngressError):
    """A part that runs beside the requests ended with an error, which is in the log; start again."""


def run(
    config: IngressConfig, on_ready: Callable[[str], None], prepare_worker: Callable[[], None] | None = None
) -> None:
    """Serve the ingress until SIGTERM or SIGINT, in the main thread; with several workers once all answer.

    `prepare_worker` is called first in each process that is started (it has to be picklable); the logging is
    set up there. Raises ConfigError for an address that is taken or any setting that cannot work, PartsEnded;
    each message is one sentence for whoever set it up.
    """
    if config.metrics_port and config.metrics_port + config.workers - 1 > 65535:
        raise ConfigError(
            f"METRICS_PORT {config.metrics_port} leaves no port for each of {config.workers} workers; each "
            "takes the next one, so choose a lower one."
        )
    check_clients(config)
    with listening(config.host, config.port, "INGRESS_HOST and INGRESS_PORT") as listener:
        if config.workers == 1:
            serve_worker(config, 0, listener, on_ready)
            return
        from ingress.workers import supervise  # which in turn starts this module's workers

        supervise(config, listener, on_ready, prepare_worker)


def grace_s(config: IngressConfig) -> int:
    """How long, in seconds, requests under way get at the end."""
    return int(config.ack_timeout_s) + 1 + GRACE_S


def serve_worker(
    config: IngressConfig, number: int, listener: socket.socket, on_ready: Callable[[str], None]
) -> None:
    """One worker with its journal, and its metrics on METRICS_PORT + `number`. Raises as `run`."""
    metrics = Metrics()
    try:
        app = App(config, number, metrics)
    except JournalUnusable as unusable:
        raise ConfigError(f"INGRESS_JOURNAL_DIR cannot be used: {unusable}.") from unusable
    exposition = Exposition(metrics)
    port = config.metrics_port and config.metrics_port + number
    with exposed(exposition, config.metrics_host, port):
        protocol = guarded(Guard(Limits(), metrics.ended), app.endpoints)
        _serve(app.rest, protocol, listener, on_ready, grace_s(config), exposition)


def serve_app(
    app: ASGIApp, host: str, port: int, on_ready: Callable[[str], None], grace_s: int = GRACE_S
) -> None:
    """Serve any application on the same server until SIGTERM or SIGINT, then at most `grace_s` more.

    `on_ready` gets the base URL, e.g. `http://127.0.0.1:41234`, and must return quickly. Raises ConfigError
    when the address cannot be bound. In another thread than the main one it runs until the process ends.
    """

    def uncounted(fault: Fault) -> None:
        """The benchmark's empty handler has no metrics."""

    with listening(host, port, "the address") as listener:
        _serve(app, guarded(Guard(Limits(), uncounted), {}), listener, on_ready, grace_s)


def server_config(app: ASGIApp, protocol: type[HttpToolsProtocol], grace_s: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        interface="asgi3",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Who calls is known by the signature, what was called by PUBLIC_BASE_URL.
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )


def _serve(
    app: ASGIApp,
    protocol: type[HttpToolsProtocol],
    listener: socket.socket,
    on_ready: Callable[[str], None],
    grace_s: int,
    exposition: Exposition | None = None,
) -> None:
    server = Server(server_config(app, protocol, grace_s), on_ready, exposition)
    if threading.current_thread() is not threading.main_thread():
        server.run([listener])
    else:
        # uvicorn listens for signals only once it runs: one that comes before is not lost.
        before = {
            handled: signal.signal(handled, server.handle_exit) for handled in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            server.run([listener])
        finally:
            for handled, handler in before.items():
                signal.signal(handled, handler)
    if server.parts_ended:
        raise PartsEnded("a part of the ingress ended with an error; see the log, and start it again")


class Server(uvicorn.Server):
    """uvicorn's, which ends when the application's parts do."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[str], None], exposition: Exposition | None = None
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._exposition = exposition
        self.parts_ended = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own takes a second Ctrl-C for leave to drop what is under way.
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:  # uvicorn's way out when the parts could not start; the log has why
            self.parts_ended = self.should_exit = True
        if self.started and sockets:
            _collect_rarely()
            if self._exposition is not None:
                self._exposition.on_loop()
            # The bound address, not the wanted one: with port 0 only the socket knows.
            host, port = sockets[0].getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        if isinstance(self.lifespan, LifespanOn) and self.lifespan.error_occurred:
            self.parts_ended = True
            return True
        return await super().on_tick(counter)


def _collect_rarely() -> None:
    """Keep what was loaded at the start out of the garbage collector, and let it run less often.

    A full collection over all modules held up every request under way: measured at 32 connections, the
    99th percentile fell from 28 ms to 14 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 50)
