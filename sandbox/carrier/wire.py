"""Answers that never come: a connection that is reset, and one that stays silent.

ASGI has no word for either, so this reaches through to uvicorn's transport, which the bound `send` of
its request cycle carries. Put `WithTransport` around the application.
"""

import asyncio
import socket
import struct

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "carrier.transport"
# Close with a TCP reset instead of a FIN (socket(7), SO_LINGER with a time of zero).
_LINGER = struct.pack("ii", 1, 0)


class _NoAnswer(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing; the connection is gone."""


NO_ANSWER: Response = _NoAnswer()


class WithTransport:
    """Makes the connection's transport reachable for `reset` and `hang`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[_KEY] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


async def reset(request: Request) -> None:
    """Reset the caller's connection: it sees ECONNRESET, or a server that disconnected.

    Raises RuntimeError when served by anything but uvicorn.
    """
    transport = request.scope.get(_KEY)
    if transport is None:
        raise RuntimeError("no transport to reset: the simulator runs behind WithTransport on uvicorn only")
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()
    await _gone(request)


async def hang(request: Request, limit_s: float) -> None:
    """Say nothing until the caller gives up; at `limit_s` or the server's end reset the connection."""
    try:
        async with asyncio.timeout(limit_s):
            await _gone(request)
    except (TimeoutError, asyncio.CancelledError):
        # Only uvicorn's shutdown cancels a request; it would go on to answer 500.
        await reset(request)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
