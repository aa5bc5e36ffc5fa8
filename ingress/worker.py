"""One of several workers, from the start of its process to the end.

Guarantees: what the parent has to know it hears through `reports`; when the parent is gone, however it ended,
the worker ends as after SIGTERM: `alive` is a pipe whose other end is the parent's alone. Every line of its
log has its number. Exit code 0 after SIGTERM, 1 when a part of it ended with an error, 2 (`REFUSED`) when it
may not start like this.
Leaves to others: to start it, again if need be (`ingress.workers`), and what it serves (`ingress.server`).
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import structlog

from ingress.config import IngressConfig
from ingress.errors import IngressError
from ingress.server import PartsEnded, serve_worker

# As of the command itself.
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Ready:
    """It answers at this address."""

    address: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not start like this; or it cannot any more, when that is after the start."""

    why: str


def work(
    config: IngressConfig,
    number: int,
    listener: socket.socket,
    reports: "Connection[object, object]",
    alive: "Connection[object, object]",
    prepare: Callable[[], None] | None,
) -> None:
    """The life of worker `number`; `prepare` is called first. Raises SystemExit with an exit code but 0."""
    if prepare is not None:
        prepare()
    _name_in_logs(number)
    threading.Thread(target=_end_with_parent, args=(alive,), name="end-with-parent", daemon=True).start()

    def report(what: Ready | Refused) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent is gone, and so is this worker in a moment
            reports.send(what)

    try:
        serve_worker(config, number, listener, lambda address: report(Ready(address)))
    except PartsEnded:
        sys.exit(1)
    except IngressError as wrong:
        report(Refused(str(wrong)))
        sys.exit(REFUSED)


def _name_in_logs(number: int) -> None:
    """In every line, also of threads, which a context variable would not reach."""

    def named(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("worker", number)
        return event

    structlog.configure(processors=[named, *structlog.get_config()["processors"]])


def _end_with_parent(alive: "Connection[object, object]") -> None:
    wait([alive])  # nothing is ever sent, so what comes is the end
    os.kill(os.getpid(), signal.SIGTERM)
