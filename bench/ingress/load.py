"""The load: one process that posts prepared requests over keep-alive connections and times the answers.

`python -m bench.ingress.load --port P --requests FILE --connections N --seconds S [--rate R]`: prints one
JSON line with a `Load`. Without a rate each connection posts its next request as soon as the last is
answered (closed loop). With one, requests are due at fixed times whatever the server does (open loop): a
latency counts from the moment the request was due, so that a server that stands still is charged for all it
held up (Gil Tene, "coordinated omission").

The requests file is a sequence of complete HTTP requests, each preceded by its length (4 bytes, big-endian).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import cast

import msgspec
import uvloop

WARM_UP_S = 1.0
LAST_ANSWERS_S = 10.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Latencies in milliseconds, of all answers but those of the first second."""

    connections: int
    per_second: float
    answered: int
    refused: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def read_requests(path: Path) -> list[bytes]:
    packed = path.read_bytes()
    found: list[bytes] = []
    at = 0
    while at < len(packed):
        length = int.from_bytes(packed[at : at + 4], "big")
        found.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def write_requests(path: Path, requests: list[bytes]) -> None:
    path.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))


class _Tally:
    """Counts from `begin` on; before that the server warms up."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.latencies: list[float] = []
        self.refused = 0

    def answered(self, due: float, head: bytes) -> None:
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 2"):
            self.refused += 1
        if due >= self.begin:
            self.latencies.append(now - due)


class _Connection(asyncio.Protocol):
    """One request at a time; answers have no body, or one announced by content-length."""

    def __init__(self, tally: _Tally, on_free: OnFree) -> None:
        self._tally = tally
        self._on_free = on_free
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is not a subclass
        self._on_free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._due:
            self._tally.refused += 1

    def post(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length_at = self._received.find(b"content-length: ", 0, head_end)
        if length_at >= 0:
            length = int(self._received[length_at + 16 : self._received.index(b"\r", length_at)])
            if len(self._received) < head_end + 4 + length:
                return
        head, self._received = self._received, b""
        self._tally.answered(self._due, head)
        self._due = 0.0
        self._on_free(self)

    def close(self) -> None:
        self._due = 0.0
        self._transport.close()


class OnFree:
    """What a connection does when it has nothing to wait for."""

    def __call__(self, connection: _Connection) -> None:
        raise NotImplementedError


class _PostNext(OnFree):
    """Closed loop: the next request at once, until the time is over."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self.idle: list[_Connection] = []

    def __call__(self, connection: _Connection) -> None:
        now = time.perf_counter()
        if now < self._until:
            connection.post(next(self._requests), now)
        else:
            self.idle.append(connection)


class _PostWhenDue(OnFree):
    """Open loop: a free connection takes the oldest request that is due, or waits for one."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._due: deque[float] = deque()
        self.idle: list[_Connection] = []

    def __call__(self, connection: _Connection) -> None:
        if self._due:
            connection.post(next(self._requests), self._due.popleft())
        else:
            self.idle.append(connection)

    def due(self, at: float) -> None:
        if self.idle:
            self.idle.pop().post(next(self._requests), at)
        else:
            self._due.append(at)


async def run(port: int, requests: list[bytes], connections: int, seconds: float, rate: float | None) -> Load:
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + WARM_UP_S
    end = begin + seconds
    tally = _Tally(begin)
    free = _PostNext(cycle(requests), end) if rate is None else _PostWhenDue(cycle(requests))
    opened = [
        (await loop.create_connection(lambda: _Connection(tally, free), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    if isinstance(free, _PostWhenDue):
        assert rate is not None
        due = time.perf_counter()
        while due < end:
            now = time.perf_counter()
            while due <= now:
                free.due(due)
                due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    else:
        await asyncio.sleep(end - time.perf_counter())
    give_up = time.perf_counter() + LAST_ANSWERS_S
    while len(free.idle) < connections and time.perf_counter() < give_up:  # noqa: ASYNC110 # once, at the end
        await asyncio.sleep(0.01)
    for connection in opened:
        connection.close()
    missing = connections - len(free.idle)
    tally.latencies.sort()
    answered = len(tally.latencies)
    at = [tally.latencies[min(answered - 1, int(answered * share))] * 1000 for share in (0.5, 0.99, 1.0)]
    return Load(
        connections=connections,
        per_second=round(answered / seconds, 1),
        answered=answered,
        refused=tally.refused + missing,
        p50_ms=round(at[0], 3),
        p99_ms=round(at[1], 3),
        max_ms=round(at[2], 3),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float)
    options = parser.parse_args()
    requests = read_requests(options.requests)
    load = uvloop.run(run(options.port, requests, options.connections, options.seconds, options.rate))
    sys.stdout.write(msgspec.json.encode(load).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
