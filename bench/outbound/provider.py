"""A provider that takes every message at once: what a sink can do is not to be hidden behind a slow one.

`python -m bench.outbound.provider --exit-with-stdin [--latency-ms N]`: speaks of Twilio's Messages resource
what creating one takes, and keeps of each request when it arrived and which command it was, by its callback
URL. Arrivals are read with `arrivals`. `sandbox.carrier`, which plans every message's life and posts its
callbacks, takes some 400 messages a second on a core; this one some ten thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import re
import sys
import time
from typing import NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

import msgspec
import uvloop

from sandbox.serving import announce, end_with_stdin, ending

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CALLBACK = re.compile(rb"StatusCallback=([^&]*)")
_OURS = re.compile(r"n=([^&#]+)&a=(\d+)")
_CREATED = (
    b'{"account_sid":"AC0","api_version":"2010-04-01","body":"","date_created":"Sat, 21 Nov 2026 12:00:00 '
    b'+0000","date_sent":null,"date_updated":"Sat, 21 Nov 2026 12:00:00 +0000","direction":"outbound-api",'
    b'"error_code":null,"error_message":null,"from":"+14155550100","messaging_service_sid":null,"num_media":'
    b'"0","num_segments":"1","price":null,"price_unit":"USD","sid":"SM%032x","status":"queued",'
    b'"subresource_uris":{},"to":"+12025550100","uri":"/"}'
)
_HEAD = (
    b"HTTP/1.1 %d So\r\nContent-Type: application/json\r\n"
    b"Twilio-Request-Id: RQ1\r\nContent-Length: %d\r\n\r\n"
)
_ARRIVALS, _COUNT = "/_bench/arrivals?from=", "/_bench/count?"
T = TypeVar("T")


class Arrival(NamedTuple):
    """`at_us`: microseconds since the epoch, when the request was read."""

    at_us: int
    command_id: str


def arrivals(url: str, since: int = 0) -> list[Arrival]:
    """All but the first `since`, in their order."""
    return _asked(url, f"{_ARRIVALS}{since}", list[Arrival])


def count(url: str) -> int:
    """How many have arrived; costs the provider nothing while it is measured."""
    return _asked(url, _COUNT, int)


def _asked(url: str, path: str, answer: type[T]) -> T:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        connection.request("GET", path)
        return msgspec.msgpack.decode(connection.getresponse().read(), type=answer)
    finally:
        connection.close()


class _Provider:
    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.seen: list[tuple[int, bytes]] = []

    def created(self, form: bytes) -> bytes:
        self.seen.append((time.time_ns() // 1000, form))
        body = _CREATED % len(self.seen)
        return _HEAD % (201, len(body)) + body

    def told(self, path: str) -> bytes:
        if path.startswith(_COUNT):
            body = msgspec.msgpack.encode(len(self.seen))
        else:
            # Taken apart only now: while messages come in there is no time for it.
            since = int(path.removeprefix(_ARRIVALS))
            body = msgspec.msgpack.encode([Arrival(at, _command(form)) for at, form in self.seen[since:]])
        return _HEAD % (200, len(body)) + body


def _command(form: bytes) -> str:
    callback = _CALLBACK.search(form)
    ours = _OURS.search(unquote(callback[1].decode())) if callback else None
    return f"{ours[1]}:{ours[2]}" if ours else ""


class _Connection(asyncio.Protocol):
    def __init__(self, provider: _Provider) -> None:
        self._provider = provider
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            rest = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < rest:
                return
            form, self._received = self._received[end + 4 : rest], self._received[rest:]
            if head.startswith(b"GET "):
                self._transport.write(self._provider.told(head.split(b" ", 2)[1].decode()))
            elif self._provider.latency_s:
                answer = self._provider.created(form)
                asyncio.get_running_loop().call_later(self._provider.latency_s, self._transport.write, answer)
            else:
                self._transport.write(self._provider.created(form))


async def _serve(latency_s: float, exit_with_stdin: bool) -> None:
    end = ending()
    provider = _Provider(latency_s)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(provider), "127.0.0.1", 0)
    if exit_with_stdin:
        end_with_stdin()
    host, port = server.sockets[0].getsockname()
    announce(f"http://{host}:{port}")
    await asyncio.to_thread(end.wait)
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with-stdin", action="store_true")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how late every answer comes")
    chosen = parser.parse_args()
    uvloop.run(_serve(chosen.latency_ms / 1000, chosen.exit_with_stdin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
