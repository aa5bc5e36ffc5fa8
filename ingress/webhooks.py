"""The routes Twilio calls: read, turn into records, keep them, answer.

Guarantees: 2xx only after every record of the webhook is kept, at the broker or in the journal; 503 with
Retry-After when one may not be; 4xx for what is refused, and then nothing was written. Every answer is
counted. Logs carry no body and no phone number, and neither an attacker nor an outage can fill them.
Leaves to others: everything that follows from a webhook.

An ASGI application of its own for each route, without Starlette's request, response and middleware: with an
empty handler these cost 10 of 29 µs a request (measured, `bench.ingress`), as much as all that is done here.
"""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from starlette.types import Message, Receive, Scope, Send

from ingress.accepted import NO_CONTENT, Accepted, Answer
from ingress.encoding import Encoder
from ingress.errors import NotKept
from ingress.keeping import Keeper, Where
from ingress.metrics import Metrics, Result, Webhook
from ingress.refusals import Reason, Refusal

log = structlog.get_logger("ingress")

RETRY_AFTER_S = 2
# One line per reason in this many seconds, with the count so far; the metrics have every one.
REFUSAL_LOG_S = 10.0
# What is left of a body that was not read to its end would be taken for the next request.
_UNREAD = frozenset(
    {Reason.TOO_SLOW, Reason.TOO_LARGE, Reason.WRONG_TYPE, Reason.HEADERS_TOO_LARGE, Reason.WRONG_METHOD}
)

R = TypeVar("R")
Read = Callable[[Scope, Receive], Awaitable[R | Refusal]]
Understand = Callable[[R, int], Accepted | Refusal]


class Endpoint(Generic[R]):
    """The ASGI application of one route."""

    __slots__ = ("_encoder", "_keeper", "_methods", "_read", "_reports", "_understand", "_webhook")

    def __init__(
        self,
        webhook: Webhook,
        methods: frozenset[str],
        read: Read[R],
        understand: Understand[R],
        encoder: Encoder,
        keeper: Keeper,
        reports: "Reports",
    ) -> None:
        """`understand` gets what was read and the time of receipt in milliseconds since the epoch."""
        self._webhook = webhook
        self._methods = methods
        self._read = read
        self._understand = understand
        self._encoder = encoder
        self._keeper = keeper
        self._reports = reports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_at = time.time_ns() // 1_000_000
        try:
            answer = await self._answer(scope, receive, received_at)
        except NotKept as reason:
            answer = self._reports.put_off(self._webhook, reason)
        except Exception:
            answer = self._reports.failed(self._webhook)
        if answer is NO_CONTENT:
            await send(_NO_CONTENT_START)
            await send(_NO_CONTENT_BODY)
        else:
            await send(_start(answer, self._methods))
            await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive, received_at: int) -> Answer:
        if scope["method"] not in self._methods:
            return self._reports.refuse(self._webhook, _WRONG_METHOD)
        read = await self._read(scope, receive)
        accepted = read if isinstance(read, Refusal) else self._understand(read, received_at)
        if isinstance(accepted, Refusal):
            return self._reports.refuse(self._webhook, accepted)
        began = time.perf_counter()
        keep, encode = self._keeper.keep, self._encoder.encode
        # All are encoded before the first is handed over: one without a schema must not leave half of them.
        encoded = [
            (record.topic, record.key, encode(record.topic, record.record)) for record in accepted.records
        ]
        kept = [keep(topic, key, value, received_at) for topic, key, value in encoded]
        where = Where.BROKER
        for waiting in kept:
            if await waiting is Where.JOURNAL:
                where = Where.JOURNAL
        self._reports.kept(self._webhook, where, time.perf_counter() - began, accepted)
        return accepted.answer


class Reports:
    """What is said of the answers, in metrics and logs, and the answers that are not an acknowledgement."""

    __slots__ = ("_log_again_at", "_metrics", "_refused", "_unacknowledged")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._unacknowledged = 0
        self._refused: Counter[Reason] = Counter()
        self._log_again_at: dict[Reason, float] = {}

    def kept(self, webhook: Webhook, where: Where, seconds: float, accepted: Accepted) -> None:
        if where is Where.BROKER:
            self._metrics.acknowledged(webhook, seconds)
        else:
            self._metrics.answered(webhook, Result.JOURNALED)
        if accepted.oddities:
            self._metrics.odd(accepted.oddities)
        if accepted.reply is not None:
            self._metrics.replied(accepted.reply)
        if self._unacknowledged:
            log.info("webhooks.kept_again", put_off=self._unacknowledged)
            self._unacknowledged = 0

    def refuse(self, webhook: Webhook, refusal: Refusal) -> Answer:
        self._metrics.refused(webhook, refusal.reason)
        self._refused[refusal.reason] += 1
        now = time.monotonic()
        if now >= self._log_again_at.get(refusal.reason, 0.0):
            self._log_again_at[refusal.reason] = now + REFUSAL_LOG_S
            log.warning(
                "webhook.refused",
                route=webhook.value,
                reason=refusal.reason.value,
                detail=refusal.detail,
                so_far=self._refused[refusal.reason],
            )
        return _Refused(
            refusal.reason.status,
            f"{refusal.reason}: {refusal.detail}\n".encode(),
            "text/plain",
            refusal.reason,
        )

    def put_off(self, webhook: Webhook, reason: NotKept) -> Answer:
        self._metrics.answered(webhook, Result.UNACKNOWLEDGED)
        self._unacknowledged += 1
        if self._unacknowledged == 1:  # one line an outage, not one a webhook
            log.error("webhooks.not_kept", route=webhook.value, detail=str(reason))
        return Answer(503, b"not stored; try again\n", "text/plain")

    def failed(self, webhook: Webhook) -> Answer:
        """Call it while the exception is handled."""
        self._metrics.answered(webhook, Result.FAILED)
        log.error("webhook.failed", route=webhook.value, **_where_from())
        return Answer(500, b"a defect of the ingress; it was logged\n", "text/plain")


class _Refused(Answer, frozen=True):
    reason: Reason | None = None


def _where_from() -> dict[str, str]:
    """Of the exception being handled only type and places: its text may hold a number or a body."""
    kind, _, trace = sys.exc_info()
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
    return {"error": kind.__name__ if kind else "", "trace": " < ".join(reversed(places))}


_NO_CONTENT_START: Message = {"type": "http.response.start", "status": 204, "headers": []}
_NO_CONTENT_BODY: Message = {"type": "http.response.body", "body": b""}
_WRONG_METHOD = Refusal(Reason.WRONG_METHOD, "this route takes no such method; configure Twilio to use POST")


def _start(answer: Answer, methods: frozenset[str]) -> Message:
    headers: list[tuple[bytes, bytes]] = []
    if answer.media_type is not None:
        headers.append((b"content-type", f"{answer.media_type}; charset=utf-8".encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if answer.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if isinstance(answer, _Refused) and answer.reason in _UNREAD:
        headers.append((b"connection", b"close"))
        if answer.reason is Reason.WRONG_METHOD:
            headers.append((b"allow", ", ".join(sorted(methods)).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}
