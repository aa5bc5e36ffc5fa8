"""Webhooks straight from the parser to their endpoint, and the answers straight to the connection.

Guarantees: an endpoint gets a request once it is whole, and of a body at most its largest and one read; an
answer is written at once, or when the client has read the ones before it; requests in one connection are
answered in their order.
Leaves to others: every other path, which takes uvicorn's usual way through ASGI; and time and size of a
request's head, and how long a client may take (`ingress.protocol`).

A task, the messages of ASGI and Starlette's objects cost a webhook about as much as verifying, decoding and
encoding it (measured, `bench.ingress`); none of them is needed between a parser and a function.

Written against uvicorn 0.54, of which each request has a `cycle`, begun when its head is complete.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ingress.responses import Response


class Endpoint(Protocol):
    """What requests of one path are handed to, on the event loop."""

    largest: int
    """Bytes of a body."""

    def take(self, exchange: "Exchange") -> None:
        """The request is whole. Answer it later, not before this returns."""

    def too_large(self) -> Response:
        """Of a request whose body is larger; nobody takes it."""


class Exchange:
    """A request, and the way to answer it, once."""

    __slots__ = ("_answered", "_cycle", "_protocol", "endpoint")

    def __init__(
        self, protocol: "ExchangingProtocol", cycle: RequestResponseCycle, endpoint: Endpoint
    ) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self._answered = False
        self.endpoint = endpoint

    @property
    def scope(self) -> Scope:
        return self._cycle.scope  # type: ignore[return-value]  # uvicorn's own type of the same dict

    @property
    def body(self) -> bytes:
        return bytes(self._cycle.body)

    @property
    def body_size(self) -> int:
        return len(self._cycle.body)

    @property
    def is_over(self) -> bool:
        """It was answered, or the client is gone."""
        return self._answered or self._cycle.disconnected

    def answer(self, response: Response) -> None:
        if not self.is_over:
            self._answered = True
            self._protocol.write_answer(self._cycle, response)


class ExchangingProtocol(HttpToolsProtocol):
    """With the endpoints of a class attribute, by path; what they are may change while it runs."""

    endpoints: ClassVar[Mapping[str, Endpoint]] = {}

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._arriving: Exchange | None = None  # begun, its body incomplete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        endpoint = self.endpoints.get(cycle.scope["path"]) if app is self.app else None
        if endpoint is None:
            super()._start_asgi_task(cycle, app)
            return
        exchange = Exchange(self, cycle, endpoint)
        if not cycle.more_body:  # it waited for the answer to the one before it
            endpoint.take(exchange)
            return
        if cycle.waiting_for_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        self._arriving = exchange
        if cycle.body:
            self._check_size(exchange)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if len(self.cycle.body) > HIGH_WATER_LIMIT and self._arriving is not None:
            self._check_size(self._arriving)

    def _check_size(self, exchange: Exchange) -> None:
        if exchange.body_size > exchange.endpoint.largest:
            self._arriving = None
            exchange.answer(exchange.endpoint.too_large())
        else:  # uvicorn pauses at its own limit, until an application reads
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        exchange = self._arriving
        if exchange is not None:
            self._arriving = None
            exchange.endpoint.take(exchange)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arriving = None
        super().connection_lost(exc)

    def write_answer(self, cycle: RequestResponseCycle, response: Response) -> None:
        """Of the oldest request that has none. The request counts as answered from now on."""
        if self.flow.write_paused:
            task = self.loop.create_task(self._write_later(cycle, response))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
            return
        if response.closes:
            cycle.keep_alive = False
        content = [STATUS_LINE[response.status]]
        for name, value in cycle.default_headers:
            content += (name, b": ", value, b"\r\n")
        content.append(response.fields)
        content.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        if cycle.scope["method"] != "HEAD":
            content.append(response.body)
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(content))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    async def _write_later(self, cycle: RequestResponseCycle, response: Response) -> None:
        """A client that does not read gets no more to read."""
        await self.flow.drain()
        if not cycle.disconnected:
            self.write_answer(cycle, response)
