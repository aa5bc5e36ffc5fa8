"""Where the provider posts its callbacks: which command each is of, by its URL, and which message it names.

Stands in for the ingress, which has a chaos run of its own; signatures are not looked at.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from tests.outbound.simulator import command_of

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Callbacks:
    """Listens from `with` to the end of the block. `sids`: the message of each command that was heard of."""

    def __init__(self) -> None:
        self.url = ""
        self.heard = 0
        self.sids: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Transport] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="callbacks")

    def __enter__(self) -> Self:
        self._thread.start()

        async def listen() -> asyncio.Server:
            return await self._loop.create_server(lambda: _Connection(self._take, self._open), "127.0.0.1", 0)

        self._server = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def close() -> None:
            self._server.close()
            for connection in tuple(self._open):
                connection.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _take(self, url: str, form: str) -> None:
        self.heard += 1
        # Where one command has two messages, the first stands here: the ledger knows of both.
        self.sids.setdefault(command_of(url), parse_qs(form)["MessageSid"][0])


class _Connection(asyncio.Protocol):
    """Answers 204 to every POST."""

    def __init__(self, take: Callable[[str, str], None], among: set[asyncio.Transport]) -> None:
        self._take = take
        self._among = among
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._among.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._among.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode()
            length = next(
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            )
            rest = end + 4 + length
            if len(self._received) < rest:
                return
            form = self._received[end + 4 : rest].decode()
            self._received = self._received[rest:]
            self._take(head.split(" ")[1], form)
            self._transport.write(_ANSWER)
