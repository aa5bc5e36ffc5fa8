"""Twilio's Messages resource over HTTP: who may ask, what is asked, what is answered.

Judging a request is `validation`'s, deciding it `exchange`'s, the shape of the answer `resource`'s.
Every create request is in the ledger before it is answered, also one that is refused.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carrier import wire
from sandbox.carrier.admission import admit
from sandbox.carrier.books import Books
from sandbox.carrier.draws import Answer
from sandbox.carrier.errors import ApiError
from sandbox.carrier.exchange import Exchange, Placed
from sandbox.carrier.ledger import Connection, SeenList, SeenRequest
from sandbox.carrier.messages import Message, window_of
from sandbox.carrier.request import Address, address_of
from sandbox.carrier.resource import Feedback, date_of, error_body, messages_uri, page_of, resource_of
from sandbox.carrier.runner import Runner
from sandbox.carrier.settings import Settings
from sandbox.carrier.validation import Form, create_request_of, number_of

_ERRORS = {
    Answer.ERROR_BEFORE: 20500,
    Answer.ERROR_AFTER: 20500,
    Answer.UNAVAILABLE: 20503,
    Answer.THROTTLED: 20429,
}
_FIRST_CALLBACK_S = 20.0
Handler = Callable[[Request], Awaitable[Response | None]]


class MessagesApi:
    """The routes of one account's messages."""

    def __init__(
        self,
        settings: Settings,
        exchange: Exchange,
        books: Books,
        runner: Callable[[], Runner],
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._exchange = exchange
        self._books = books
        self._runner = runner
        self._now_ms = now_ms
        self._in_hand = 0

    @property
    def routes(self) -> list[Route]:
        """Mount these at the root."""
        base = "/2010-04-01/Accounts/{account}/Messages"
        one = base + "/{sid}.json"
        return [
            Route(base + ".json", self._guarded(self._create, books=True), methods=["POST"]),
            Route(base + ".json", self._guarded(self._list), methods=["GET"]),
            Route(base + "/{sid}/Feedback.json", self._guarded(self._feedback), methods=["POST"]),
            Route(one, self._guarded(self._fetch), methods=["GET"]),
            Route(one, self._guarded(self._update), methods=["POST"]),
            Route(one, self._guarded(self._delete), methods=["DELETE"]),
        ]

    def _guarded(self, handler: Handler, *, books: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            began = time.perf_counter()
            self._in_hand += 1
            concurrent = self._in_hand
            number = None
            try:
                if books:
                    number = await self._arrived(request)
                admit(request, self._settings, concurrent, self._now_ms())
                answer = await handler(request)
            except ApiError as error:
                answer = _json(error_body(error), error.http_status)
                if number is not None:
                    self._books.ended(number, Connection.ANSWERED, error.http_status, error.code)
                elif handler == self._list:
                    self._listed(request, error.code)
            finally:
                self._in_hand -= 1
            if answer is None:
                return wire.NO_ANSWER
            if number is not None:
                self._books.ended(number, Connection.ANSWERED, answer.status_code, None)
            answer.headers["Twilio-Request-Id"] = "RQ" + uuid.uuid4().hex
            answer.headers["Twilio-Concurrent-Requests"] = str(concurrent)
            answer.headers["Twilio-Request-Duration"] = f"{time.perf_counter() - began:.3f}"
            return answer

        return guarded

    async def _arrived(self, request: Request) -> int:
        form = await _form(request)
        body = form.get("Body", [""])[0]
        number = self._books.arrived(
            SeenRequest(
                at_ms=self._now_ms(),
                to=form.get("To", [""])[0],
                sender=(form.get("MessagingServiceSid") or form.get("From") or [""])[0],
                body_sha256=hashlib.sha256(body.encode()).hexdigest(),
                content_sid=form.get("ContentSid", [None])[0],
                status_callback=form.get("StatusCallback", [None])[0],
                ordinal=0,
                sid=None,
                connection=Connection.OPEN,
                http_status=None,
                error_code=None,
                behaviour="refused",
            )
        )
        request.state.number = number
        return number

    async def _create(self, request: Request) -> Response | None:
        number: int = request.state.number
        now_ms = self._now_ms()
        wanted = create_request_of(await _form(request), now_ms)
        self._books.named(number, to=str(wanted.to), sender=wanted.sender)
        placed = self._exchange.create(wanted, now_ms)
        answer, message = placed.fate.answer, placed.message
        self._books.decided(
            number,
            ordinal=placed.ordinal,
            sid=None if message is None else message.sid,
            behaviour=answer.value,
        )
        created = None if message is None else self._created(message)
        first = None if message is None else self._runner().start(message)
        if answer in _ERRORS:
            raise ApiError(_ERRORS[answer])
        if answer in (Answer.ACCEPTED_RESET, Answer.RESET_BEFORE):
            self._books.ended(number, Connection.RESET, None, None)
            await wire.reset(request)
            return None
        if answer is Answer.ACCEPTED_HANG:
            try:
                await wire.hang(request, self._settings.hang_s)
            finally:
                self._books.ended(number, Connection.HUNG, None, None)
            return None
        if answer is Answer.CALLBACK_FIRST and first is not None:
            await asyncio.wait({first}, timeout=_FIRST_CALLBACK_S)
        await self._be_slow(placed)
        return created

    def _created(self, message: Message) -> Response:
        return _json(resource_of(self._settings.account.sid, message), 201)

    async def _be_slow(self, placed: Placed) -> None:
        if placed.fate.answer_delay_ms:
            await asyncio.sleep(placed.fate.answer_delay_ms / 1000 * self._settings.time_scale)

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        filters = {
            name: query[name]
            for name in ("To", "From", "DateSent", "DateSent<", "DateSent>")
            if query.get(name)
        }
        try:
            size, page = int(query.get("PageSize") or 50), int(query.get("Page") or 0)
        except ValueError:
            raise ApiError(20001, f"PageSize {query.get('PageSize')}, Page {query.get('Page')}") from None
        size = min(max(size, 1), 1000)
        window = window_of(
            filters.get("DateSent", ""), filters.get("DateSent<", ""), filters.get("DateSent>", "")
        )
        to, sender = _address(filters.get("To", "")), _address(filters.get("From", ""))
        after = query.get("PageToken", "").removeprefix("PA")
        created_before = self._now_ms() - self._settings.list_lag_ms
        found, more = self._exchange.messages.find(to, sender, window, after, size, created_before)
        account = self._settings.account.sid
        self._listed(request, None)
        return _json(page_of(account, found, filters=filters, page=max(page, 0), size=size, more=more), 200)

    def _listed(self, request: Request, error_code: int | None) -> None:
        to = request.query_params.get("To", "")
        self._books.listed(SeenList(to=to, at_ms=self._now_ms(), error_code=error_code))

    async def _fetch(self, request: Request) -> Response:
        return self._shown(self._message(request))

    async def _update(self, request: Request) -> Response:
        message, form = self._message(request), await _form(request)
        if "Status" in form:
            if form["Status"][0] != "canceled":
                raise ApiError(20001, f"Status {form['Status'][0]}")
            self._runner().cancel(message, self._exchange.cancel(message, self._now_ms()))
        if "Body" in form:
            if form["Body"][0]:
                raise ApiError(20001, "Body: only an empty one redacts")
            self._exchange.redact(message, self._now_ms())
        return self._shown(message)

    async def _delete(self, request: Request) -> Response:
        self._exchange.delete(self._message(request))
        return Response(status_code=204)

    async def _feedback(self, request: Request) -> Response:
        message, form = self._message(request), await _form(request)
        outcome = (form.get("Outcome") or ["confirmed"])[0]
        if outcome not in ("confirmed", "unconfirmed"):
            raise ApiError(20001, f"Outcome {outcome}")
        now, account = date_of(self._now_ms()), self._settings.account.sid
        uri = messages_uri(account).replace(".json", f"/{message.sid}/Feedback.json")
        feedback = Feedback(
            account_sid=account,
            date_created=now,
            date_updated=now,
            message_sid=message.sid,
            outcome=outcome,
            uri=uri,
        )
        return _json(feedback, 200)

    def _message(self, request: Request) -> Message:
        return self._exchange.fetch(request.path_params["sid"], request.url.path)

    def _shown(self, message: Message) -> Response:
        return _json(resource_of(self._settings.account.sid, message), 200)


def _json(body: msgspec.Struct, status: int) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


async def _form(request: Request) -> Form:
    body = await request.body()
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        raise ApiError(20001, "body: not a form in UTF-8") from None


def _address(text: str) -> str:
    # A plus that arrived as a blank, as from a hand-written URL, is still a plus.
    address = address_of(text.strip())
    return str(Address(address.channel, number_of(address.bare) or address.bare))
