"""The metrics on a port of their own, where the world that calls webhooks cannot see them.

Guarantees: values are collected on the event loop, as counting is, so that a scrape never meets a half-made
change; a loop that is held up fails the scrape instead of hiding it.
Leaves to others: what is counted (`ingress.metrics`), and who may reach the port.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric

from ingress.errors import ConfigError
from ingress.metrics import Metrics

log = structlog.get_logger("ingress")

COLLECT_TIMEOUT_S = 5.0


class Exposition:
    """The collector for prometheus_client's server, which asks in threads of its own."""

    __slots__ = ("_loop", "_metrics")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop | None = None

    def on_loop(self) -> None:
        """From now on values change on the running loop; before, nothing does."""
        self._loop = asyncio.get_running_loop()

    def collect(self) -> list[Metric]:
        """Raises TimeoutError when the loop does not answer."""
        if self._loop is None or self._loop.is_closed():
            return list(self._metrics.collect())  # nothing changes
        collected: Future[list[Metric]] = Future()

        def collect() -> None:
            try:
                collected.set_result(list(self._metrics.collect()))
            except Exception as failed:
                collected.set_exception(failed)

        self._loop.call_soon_threadsafe(collect)
        return collected.result(COLLECT_TIMEOUT_S)


@contextmanager
def exposed(exposition: Exposition, host: str, port: int | None) -> Iterator[None]:
    """While the block runs, metrics are served there; without a port nowhere. Raises ConfigError."""
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(exposition)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except (OSError, UnicodeError) as wrong:  # UnicodeError: what can be no host's name
        why = wrong.strerror if isinstance(wrong, OSError) else None
        raise ConfigError(
            f"Metrics cannot be served on {host}:{port} ({why or wrong}); end what uses it, or change "
            "METRICS_HOST and METRICS_PORT, of which each worker takes the next port."
        ) from wrong
    log.info("metrics.served", address=f"{host}:{server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
