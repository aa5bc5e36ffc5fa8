"""The simulator's own endpoints, typed from both ends: handsets that write, the ledger, what is pending.

Client side: `send_inbound`, `set_inbound_url` (and `ledger.fetch_ledger`, `fetch_pending`); server side:
`Control.routes`. They are open to whoever reaches the address, which is the local machine.
"""

import hashlib
import uuid
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carrier._http import call
from sandbox.carrier.books import Books
from sandbox.carrier.callbacks import Attempt, Poster
from sandbox.carrier.exchange import Exchange
from sandbox.carrier.ledger import Failure, OptOut, SeenInbound
from sandbox.carrier.runner import Runner
from sandbox.carrier.settings import Settings
from sandbox.carrier.webhooks import inbound_params


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A message a handset writes. `extra` adds webhook parameters (ButtonPayload, OptOutType, …)."""

    from_: str = msgspec.field(name="from")
    to: str
    body: str = ""
    media_urls: tuple[str, ...] = ()
    extra: dict[str, str] = {}


class InboundReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the inbound webhook answered: its status and TwiML, or why there is none."""

    sid: str
    status: int | None
    body: str
    failure: Failure | None


class InboundUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where inbound messages are posted."""

    url: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why one of these endpoints refused."""

    error: str


def send_inbound(base_url: str, inbound: Inbound) -> InboundReply:
    """Let a handset write; returns when the webhook has answered. Raises SimulatorError."""
    return call(base_url, "POST", "/_simulator/inbound", inbound, InboundReply)


def set_inbound_url(base_url: str, url: str) -> None:
    """Post inbound messages to `url` from now on. Raises SimulatorError."""
    call(base_url, "PUT", "/_simulator/inbound-url", InboundUrl(url=url), InboundUrl)


class Control:
    """The server side of one simulator."""

    def __init__(
        self,
        settings: Settings,
        exchange: Exchange,
        books: Books,
        runner: Callable[[], Runner],
        poster: Callable[[], Poster],
        now_ms: Callable[[], int],
    ) -> None:
        self._account = settings.account.sid
        self._url = settings.inbound_url
        self._exchange = exchange
        self._books = books
        self._runner = runner
        self._poster = poster
        self._now_ms = now_ms

    @property
    def routes(self) -> list[Route]:
        """Mount these at the root."""
        return [
            Route("/_simulator/ledger", self._ledger, methods=["GET"]),
            Route("/_simulator/pending", self._pending, methods=["GET"]),
            Route("/_simulator/inbound", _judged(self._inbound), methods=["POST"]),
            Route("/_simulator/inbound-url", _judged(self._set_url), methods=["PUT"]),
        ]

    async def _ledger(self, request: Request) -> Response:
        return _json(self._books.ledger(self._exchange.created))

    async def _pending(self, request: Request) -> Response:
        return _json(self._runner().pending)

    async def _set_url(self, request: Request) -> Response:
        wanted = msgspec.json.decode(await request.body(), type=InboundUrl)
        self._url = wanted.url
        return _json(wanted)

    async def _inbound(self, request: Request) -> Response:
        said = msgspec.json.decode(await request.body(), type=Inbound)
        if self._url is None:
            problem = "no inbound URL: start with --inbound-url or PUT /_simulator/inbound-url first"
            return _json(Problem(error=problem), 409)
        message = self._exchange.receive(said.from_, said.to, said.body, len(said.media_urls), self._now_ms())
        # Twilio blocks before it tells: nothing sent after this arrives can slip past the keyword.
        self._heard(said)
        params = inbound_params(self._account, message, said.media_urls, said.extra)
        at_ms = self._now_ms()
        attempt = await self._poster().post(self._url, params, str(uuid.uuid4()), _ignore)
        self._books.received(
            SeenInbound(
                sid=message.sid,
                sender=said.from_,
                recipient=said.to,
                body_sha256=hashlib.sha256(said.body.encode()).hexdigest(),
                at_ms=at_ms,
                http_status=attempt.status,
                failure=attempt.failure,
            )
        )
        return _json(
            InboundReply(sid=message.sid, status=attempt.status, body=attempt.body, failure=attempt.failure)
        )

    def _heard(self, said: Inbound) -> None:
        heard = self._exchange.hear(said.from_, said.to, said.body)
        if heard is not None:
            keyword, opted_out = heard
            self._books.heard(
                OptOut(
                    recipient=said.from_,
                    sender=said.to,
                    at_ms=self._now_ms(),
                    keyword=keyword,
                    opted_out=opted_out,
                )
            )


def _ignore(attempt: Attempt) -> None:
    """The ledger keeps one record per inbound message, with its last attempt."""


def _judged(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def judged(request: Request) -> Response:
        try:
            return await handler(request)
        except msgspec.MsgspecError as error:
            return _json(Problem(error=f"{request.url.path}: {error}"), 400)

    return judged


def _json(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
