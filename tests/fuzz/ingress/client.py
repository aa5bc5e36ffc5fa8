"""Raw connections to the ingress: bytes out, statuses in, and how the connection ended.

Guarantees: a proper request is sent on the connection of the one before it, as long as the server keeps it;
after anything else the connection is thrown away. What nobody asked for (an answer too many) is noticed.
Every exchange ends within the limit, as HUNG when the server neither answered nor closed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from tests.fuzz.ingress.wire import Request, Sending

# Twilio waits 15 s at most (facts, Twilio section 2): whoever holds a connection longer holds it for nobody.
LIMIT_S = 15.0
# How long an unclear request may be a whole one before our side is closed.
MOMENT_S = 0.2

_LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\nconnection: *close", re.IGNORECASE)
_PIECES = 5


class Ended(Enum):
    ANSWERED = auto()
    CLOSED = auto()
    RESET = auto()
    HUNG = auto()
    NOT_TAKEN = auto()
    """There was no connection to send it on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` is the word before the colon of a refusal's text; empty without one."""

    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All answers that came, and what ended the exchange. `unasked`: bytes behind the last answer."""

    answers: tuple[Answer, ...]
    ended: Ended
    unasked: bytes = b""

    @property
    def accepted(self) -> int:
        return sum(200 <= answer.status < 300 for answer in self.answers)


class Lane:
    """One connection at a time; not for two callers at once."""

    __slots__ = ("_connection", "_host", "_port")

    def __init__(self, address: str) -> None:
        """`address` as `http://host:port`."""
        host, _, port = address.rpartition("/")[2].rpartition(":")
        self._host, self._port = host, int(port)
        self._connection: _Connection | None = None

    async def exchange(self, request: Request) -> Outcome:
        """Send the request and wait for what is owed."""
        connection, self._connection = self._connection, None
        if connection is None or connection.over:
            loop = asyncio.get_running_loop()
            try:
                _, connection = await loop.create_connection(_Connection, self._host, self._port)
            except OSError:
                return Outcome((), Ended.NOT_TAKEN)
        outcome = await connection.exchange(request)
        if request.sending.owes_an_answer and outcome.ended is Ended.ANSWERED and not connection.over:
            self._connection = connection
        else:
            connection.drop()
        return outcome

    def close(self) -> None:
        if self._connection is not None:
            self._connection.drop()


class _Connection(asyncio.Protocol):
    __slots__ = ("_answers", "_closing", "_done", "_head", "_loop", "_transport", "_wanted", "received")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[Ended] | None = None
        self._answers: list[Answer] = []
        self._wanted = 0
        self._head = False
        self._closing = False
        self.received = b""

    @property
    def over(self) -> bool:
        """Nothing more can be sent, or what came back cannot be told apart any more."""
        return self._closing or bool(self.received)

    async def exchange(self, request: Request) -> Outcome:
        assert self._transport is not None
        self._answers, self._wanted = [], request.answers
        # The answer to HEAD has a length and no body.
        self._head = request.raw.startswith(b"HEAD ")
        self._done = self._loop.create_future()
        timers = [self._loop.call_later(LIMIT_S, self._end, Ended.HUNG)]
        if request.sending is Sending.UNCLEAR:
            timers.append(self._loop.call_later(MOMENT_S, self._half_close))
        try:
            if request.sending is Sending.PIECES:
                step = len(request.raw) // _PIECES + 1
                for at in range(0, len(request.raw), step):
                    self._transport.write(request.raw[at : at + step])
                    await asyncio.sleep(0)  # to the event loop, which sends it
            else:
                self._transport.write(request.raw)
            if request.sending is Sending.CUT:
                self._half_close()
            ended = await self._done
        finally:
            for timer in timers:
                timer.cancel()
            self._done = None
        return Outcome(tuple(self._answers), ended, self.received if ended is Ended.ANSWERED else b"")

    def drop(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self._one_answer():
            pass
        if self._done is not None and len(self._answers) >= self._wanted:
            self._end(Ended.ANSWERED)

    def eof_received(self) -> bool:
        self._closing = True
        self._end(Ended.CLOSED)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._end(Ended.CLOSED if error is None else Ended.RESET)

    def _one_answer(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0 or (self._done is None and self._wanted <= len(self._answers)):
            return False
        head = self.received[:end]
        status = int(head[9:12])
        length = _LENGTH.search(head)
        size = int(length[1]) if length is not None and not self._head else 0
        if 100 <= status < 200:
            self.received = self.received[end + 4 :]
            return True
        body = self.received[end + 4 : end + 4 + size]
        if len(body) < size:
            return False
        if _CLOSE.search(head):
            self._closing = True
            if length is None and b"chunked" not in head.lower():
                body, size = self.received[end + 4 :], len(self.received)
        self.received = self.received[end + 4 + size :]
        reason = body.partition(b":")[0] if status >= 400 else b""
        self._answers.append(Answer(status, reason.decode("latin-1")[:30].strip()))
        return True

    def _end(self, ended: Ended) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(ended)

    def _half_close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
