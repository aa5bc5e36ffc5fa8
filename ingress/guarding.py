"""Which connections wait for their client, since when, and what may be too much: the books of the protocol.

Guarantees: a connection that is watched is told that it is overdue once, between `timeout_s` and `timeout_s`
plus `sweep_s` later; one timer serves all, since the oldest is always first; reports are counted one by one
and logged at most once in ten seconds for each kind, so that nobody can fill the log.
Leaves to others: what an overdue connection does (`ingress.protocol`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from time import monotonic
from typing import Protocol

import structlog

log = structlog.get_logger("ingress.connections")

LOG_S = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of a connection. Sizes in bytes, times in seconds.

    `url` and `head` are those of nginx's large_client_header_buffers and beyond anything Twilio sends;
    `request` is head and body with the framing of its chunks, above the largest body of any route. A request
    has `timeout_s` from its first byte to its last, a connection as long from its opening to its first byte.
    """

    url: int = 8 * 1024
    head: int = 16 * 1024
    request: int = 2 * 1024 * 1024
    timeout_s: float = 10.0
    sweep_s: float = 1.0
    last_call_s: float = 0.5
    """How long, at the end of the process, an idle client still may send what it is about to."""


class Fault(StrEnum):
    """Why a connection was ended before its request reached a route: a label to count by."""

    MALFORMED = "malformed"
    URL_TOO_LONG = "url-too-long"
    HEAD_TOO_LARGE = "head-too-large"
    REQUEST_TOO_LARGE = "request-too-large"
    SLOW = "slow"
    # Said nothing at all; or only line ends; or does not read its answers.
    SILENT = "silent"
    UNREAD = "unread"


class Connection(Protocol):
    """What a guard can watch."""

    def overdue(self) -> None:
        """It is not watched any more; it may ask to be again."""


class Guard:
    """For one event loop. `count` is called for every fault."""

    __slots__ = ("_count", "_faults", "_log_again_at", "_since", "_sweeping", "limits")

    def __init__(self, limits: Limits, count: Callable[[Fault], None]) -> None:
        self.limits = limits
        self._count = count
        self._since: dict[Connection, float] = {}
        self._sweeping = False
        self._faults: Counter[Fault] = Counter()
        self._log_again_at: dict[Fault, float] = {}

    def watch(self, connection: Connection) -> None:
        """From now on; a second call starts its time anew."""
        since = self._since
        if connection in since:
            del since[connection]  # so that it becomes the last
        if not self._sweeping:
            self._sweeping = True
            self._sweep_later()
        since[connection] = monotonic()

    def forget(self, connection: Connection) -> None:
        """Not any more; also when it was not watched."""
        self._since.pop(connection, None)

    def report(self, fault: Fault) -> None:
        self._count(fault)
        self._faults[fault] += 1
        now = monotonic()
        if now >= self._log_again_at.get(fault, 0.0):
            self._log_again_at[fault] = now + LOG_S
            log.warning("connection.ended", reason=fault.value, so_far=self._faults[fault])

    def _sweep_later(self) -> None:
        asyncio.get_running_loop().call_later(self.limits.sweep_s, self._sweep)

    def _sweep(self) -> None:
        due = monotonic() - self.limits.timeout_s
        overdue = [connection for connection, _ in takewhile(lambda of: of[1] <= due, self._since.items())]
        for connection in overdue:
            del self._since[connection]
            connection.overdue()
        if self._since:
            self._sweep_later()
        else:
            self._sweeping = False
