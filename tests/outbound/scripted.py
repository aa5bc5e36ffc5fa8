"""An API that answers every request with the same bytes, whatever they are, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs


@dataclass(slots=True)
class Scripted:
    url: str = ""
    heads: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)


def answer(status: int, body: str | bytes, *, kind: str = "application/json", headers: str = "") -> bytes:
    """A whole HTTP answer."""
    content = body if isinstance(body, bytes) else body.encode()
    head = f"HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


@asynccontextmanager
async def answering(*pieces: bytes, pause_s: float = 0.0) -> AsyncIterator[Scripted]:
    """Write the pieces, `pause_s` apart, to whoever asks, and hang up."""
    it = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        tasks.add(this)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                it.heads.append(head)
                lengths = [line for line in head.splitlines() if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
                it.forms.append(parse_qs(body.decode(), keep_blank_values=True))
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            tasks.discard(this)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    it.url = f"http://{host}:{port}"
    try:
        yield it
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
