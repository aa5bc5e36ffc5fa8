"""The last look at the clock is right before the first byte, whatever happened since the connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sinks.outbound import twilio_http
from sinks.outbound.twilio_http import Call, NotBegun, TwilioHttp, current_call

pytestmark = pytest.mark.anyio
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, bytearray]]:
    """A provider that keeps what it hears, and answers each request."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            heard.extend(data)
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()
        await server.wait_closed()


def standing_still(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the process stand still when a call has its connection and has not written yet."""
    real = twilio_http._Connector.connect

    async def connect(self: Any, *arguments: Any, **options: Any) -> Any:
        connection = await real(self, *arguments, **options)
        # Comes before the task that writes, which is made after this returns.
        asyncio.get_running_loop().call_soon(time.sleep, seconds)
        return connection

    monkeypatch.setattr(twilio_http._Connector, "connect", connect)


async def called(url: str, begin_before: float) -> tuple[Call, int | None]:
    http = TwilioHttp(url, 1, 2, pool=1)
    call = Call(begin_before)
    current_call.set(call)
    try:
        response = await http.request("POST", url + "/Messages.json", data={"Body": "once"})
        return call, response.status_code
    except NotBegun:
        return call, None
    finally:
        await http.close()


async def test_a_process_that_stood_still_after_its_connection_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standing_still(monkeypatch, 0.3)
    async with listening() as (url, heard):
        call, status = await called(url, time.monotonic() + 0.2)
    assert status is None
    assert heard == b""
    assert not call.may_be_written


async def test_a_process_that_stood_still_within_its_time_writes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    standing_still(monkeypatch, 0.1)
    async with listening() as (url, heard):
        call, status = await called(url, time.monotonic() + 5)
    assert status == 201
    assert heard.endswith(b"Body=once")
    assert call.may_be_written
