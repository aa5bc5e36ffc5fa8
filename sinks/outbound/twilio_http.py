"""The HTTP client under Twilio's SDK: one pooled session, explicit time-outs, and what was really written.

The SDK's own async client has no time-outs by default and cannot say whether a failed request ever left the
machine (facts, Twilio section 11). This one can: a `Call` notes when a connection was in hand, the moment
from which bytes may have gone out, and refuses to go on when its time is over. No request lasts longer than
the two time-outs together, however slowly its answer drips.
"""

import time
from contextvars import ContextVar
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import set_exception
from twilio.http import AsyncHttpClient
from twilio.http.response import Response


class NotBegun(Exception):
    """The wire was reached after the call's last moment; nothing was written."""


class AnswerTooLong(Exception):
    """No answer of Twilio's."""


_LONGEST_ANSWER = 4 * 1024 * 1024
"""Ten times a page of 200 messages with the longest texts."""


class Call:
    """What is known of one request while it is under way. `begin_before` is on time.monotonic()."""

    def __init__(self, begin_before: float = float("inf")) -> None:
        self.begin_before = begin_before
        self.may_be_written = False
        self.status: int | None = None
        self.request_id: str | None = None
        self.retry_after_s: float | None = None


current_call: ContextVar[Call] = ContextVar("current_call")


class _Connector(aiohttp.TCPConnector):
    """Hands out a connection only to a call that may still begin, and does not waste one on another."""

    async def connect(self, *arguments: Any, **options: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*arguments, **options)
        call = current_call.get()
        if time.monotonic() > call.begin_before:
            connection.release()
            raise NotBegun
        call.may_be_written = True
        return connection


class _Request(aiohttp.ClientRequest):
    """Looks at the clock right before the bytes go out.

    aiohttp writes in a task of its own: between the connection and its first byte lies a turn of the loop,
    with all that other calls do in it, and a process may stand still there for longer than anybody waits.
    """

    async def write_bytes(
        self,
        writer: AbstractStreamWriter,
        conn: aiohttp.connector.Connection,
        content_length: int | None = None,
    ) -> None:
        call = current_call.get()
        protocol = conn.protocol
        if protocol is not None and time.monotonic() > call.begin_before:
            # The headers are in the writer's buffer still; the body would have taken them along.
            call.may_be_written = False
            set_exception(protocol, NotBegun())
            conn.close()
            return
        await super().write_bytes(writer, conn, content_length)


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]
    """Sends what the SDK asks for, to `base_url` instead of where the SDK wants it, when one is given.

    Must be created on the running loop.
    """

    def __init__(
        self, base_url: str | None, connect_timeout_s: float, read_timeout_s: float, pool: int
    ) -> None:
        super().__init__(None, True, None)
        self._base = urlsplit(base_url) if base_url is not None else None
        self._session = aiohttp.ClientSession(
            request_class=_Request,
            connector=_Connector(limit=pool, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=connect_timeout_s + read_timeout_s,
                connect=connect_timeout_s,
                sock_read=read_timeout_s,
                ceil_threshold=float("inf"),  # else aiohttp rounds up to whole seconds
            ),
        )

    async def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the SDK's signature)
        allow_redirects: bool = False,
    ) -> Response:
        call = current_call.get()
        target = urlsplit(url)
        if self._base is not None:
            target = target._replace(
                scheme=self._base.scheme,
                netloc=self._base.netloc,
                path=self._base.path.rstrip("/") + target.path,
            )
        async with self._session.request(
            method.upper(),
            urlunsplit(target),
            params=params,
            data=data,
            headers=dict(headers or {})
            | ({"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}),
            allow_redirects=allow_redirects,
        ) as response:
            call.status = response.status
            call.request_id = response.headers.get("Twilio-Request-Id")
            call.retry_after_s = seconds_to_wait(response.headers.get("Retry-After", ""), time.time())
            return Response(response.status, await _text(response), dict(response.headers))

    async def close(self) -> None:
        await self._session.close()


async def _text(response: aiohttp.ClientResponse) -> str:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LONGEST_ANSWER:
            raise AnswerTooLong
    return body.decode(response.charset or "utf-8")


def seconds_to_wait(retry_after: str, now: float) -> float | None:
    """What a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3); None when it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment: datetime = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now)
