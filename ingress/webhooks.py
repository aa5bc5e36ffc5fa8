"""The routes Twilio calls: read, turn into records, keep them, answer.

Guarantees: 2xx only after every record of the webhook is kept, at the broker or in the journal; 503 with
Retry-After when one may not be; 4xx for what is refused, and then nothing was written. Every answer is
counted. Logs carry no body and no phone number, and neither an attacker nor an outage can fill them.
Leaves to others: everything that follows from a webhook.
"""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from ingress.accepted import Accepted, Answer
from ingress.calls import Call, Kind, read_call
from ingress.encoding import Encoder
from ingress.errors import NotKept
from ingress.exchanges import Exchange
from ingress.keeping import Keeper, Waiting, Where
from ingress.metrics import Metrics, Result, Webhook
from ingress.refusals import Reason, Refusal
from ingress.responses import Response, refusal_response, response

log = structlog.get_logger("ingress")

# One line per reason in this many seconds, with the count so far; the metrics have every one.
REFUSAL_LOG_S = 10.0

R = TypeVar("R")
Verify = Callable[[Call], R | Refusal]
Understand = Callable[[R, int], Accepted | Refusal]
KeepFor = Callable[[Waiting, str, str, bytes, int], None]


class Endpoint(Generic[R]):
    """The requests of one route.

    What arrived in one turn of the event loop is worked through together, each step for all before the next
    step for any: code and tables of a step stay in the processor's cache, which at 256 connections makes the
    steps a third cheaper (measured, `bench.ingress`).
    """

    __slots__ = (
        "_encode",
        "_keep",
        "_kind",
        "_loop",
        "_methods",
        "_reports",
        "_understand",
        "_verify",
        "_webhook",
        "_work",
        "largest",
    )

    def __init__(
        self,
        webhook: Webhook,
        methods: frozenset[str],
        kind: Kind,
        verify: Verify[R],
        understand: Understand[R],
        encoder: Encoder,
        keeper: Keeper,
        reports: "Reports",
    ) -> None:
        """`understand` gets what was verified and the time of receipt in milliseconds since the epoch."""
        self._webhook = webhook
        self._methods = methods
        self._kind = kind
        self._verify = verify
        self._understand = understand
        self._encode = encoder.encode
        self._keep = keeper.keep_for
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._work: list[Exchange] = []
        self.largest = kind.largest

    def take(self, exchange: Exchange) -> None:
        if not self._work:
            self._loop.call_soon(self._work_through)
        self._work.append(exchange)

    def too_large(self) -> Response:
        return self._refuse(self._kind.too_large)

    def _work_through(self) -> None:
        exchanges, self._work = self._work, []
        received_at = time.time_ns() // 1_000_000
        kind, methods, verify, understand = self._kind, self._methods, self._verify, self._understand
        encode, keep = self._encode, self._keep
        verified: list[tuple[_Work, R]] = []
        for exchange in exchanges:
            work = _Work(exchange, received_at, self._webhook, self._reports)
            try:
                call = read_call(exchange.scope, exchange.body, kind, methods, received_at)
                read = call if isinstance(call, Refusal) else verify(call)
            except Exception as defect:
                work.set_exception(defect)
            else:
                if isinstance(read, Refusal):
                    exchange.answer(self._refuse(read))
                else:
                    verified.append((work, read))
        understood: list[_Work] = []
        for work, read in verified:
            try:
                accepted = understand(read, received_at)
            except Exception as defect:
                work.set_exception(defect)
            else:
                if isinstance(accepted, Refusal):
                    work.exchange.answer(self._refuse(accepted))
                else:
                    work.accepted = accepted
                    understood.append(work)
        encoded: list[tuple[_Work, list[bytes]]] = []
        for work in understood:
            try:
                # All of them before the first is handed over: one without a schema must not leave half.
                encoded.append((work, [encode(out.topic, out.record) for out in work.accepted.records]))
            except Exception as trouble:
                work.set_exception(trouble)
        began = time.monotonic()
        for work, values in encoded:
            work.hand_over(values, began, keep)

    def _refuse(self, refusal: Refusal) -> Response:
        self._reports.refused(self._webhook, refusal)
        return refusal_response(refusal, self._methods)


class _Work:
    """One webhook on its way through the steps; then told by the keeper where each record was kept."""

    __slots__ = (
        "_began",
        "_missing",
        "_received_at",
        "_reports",
        "_webhook",
        "_where",
        "accepted",
        "exchange",
    )

    def __init__(self, exchange: Exchange, received_at: int, webhook: Webhook, reports: "Reports") -> None:
        self.exchange = exchange
        self._received_at = received_at
        self._webhook = webhook
        self._reports = reports
        self._where = Where.BROKER
        self.accepted: Accepted
        self._missing: int
        self._began: float

    def hand_over(self, values: list[bytes], began: float, keep: "KeepFor") -> None:
        """Give the keeper all records; it tells this, or a part of this, what became of them."""
        records = self.accepted.records
        self._missing = len(records)
        self._began = began
        if len(records) == 1:
            out = records[0]
            keep(self, out.topic, out.key, values[0], self._received_at)
            return
        for out, value in zip(records, values, strict=True):
            keep(_Part(self), out.topic, out.key, value, self._received_at)
        if not records:
            self.exchange.answer(response(self.accepted.answer))

    def done(self) -> bool:
        return self.exchange.is_over

    def set_result(self, where: Where) -> None:
        if where is Where.JOURNAL:
            self._where = where
        self._missing -= 1
        if not self._missing:
            self._reports.kept(self._webhook, self._where, self._began, self.accepted)
            self.exchange.answer(response(self.accepted.answer))

    def set_exception(self, trouble: BaseException) -> None:
        """Of several records the first failure answers the request; the others may be kept all the same."""
        if not self.exchange.is_over:
            if isinstance(trouble, NotKept):
                answer = self._reports.put_off(self._webhook, trouble)
            else:
                answer = self._reports.failed(self._webhook, trouble)
            self.exchange.answer(response(answer))


class _Part:
    """One of several records of a webhook."""

    __slots__ = ("_done", "_whole")

    def __init__(self, whole: _Work) -> None:
        self._whole = whole
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, where: Where) -> None:
        self._done = True
        self._whole.set_result(where)

    def set_exception(self, trouble: BaseException) -> None:
        self._done = True
        self._whole.set_exception(trouble)


class Reports:
    """What is said of the answers, in metrics and logs, and the answers that are not an acknowledgement."""

    __slots__ = ("_log_again_at", "_metrics", "_refused", "_unacknowledged")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._unacknowledged = 0
        self._refused: Counter[Reason] = Counter()
        self._log_again_at: dict[Reason, float] = {}

    def kept(self, webhook: Webhook, where: Where, began: float, accepted: Accepted) -> None:
        """`began` is when the records were handed over, by the monotonic clock."""
        if where is Where.BROKER:
            self._metrics.acknowledged(webhook, time.monotonic() - began)
        else:
            self._metrics.answered(webhook, Result.JOURNALED)
        if accepted.oddities:
            self._metrics.odd(accepted.oddities)
        if accepted.reply is not None:
            self._metrics.replied(accepted.reply)
        if self._unacknowledged:
            log.info("webhooks.kept_again", put_off=self._unacknowledged)
            self._unacknowledged = 0

    def refused(self, webhook: Webhook, refusal: Refusal) -> None:
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

    def put_off(self, webhook: Webhook, reason: NotKept) -> Answer:
        self._metrics.answered(webhook, Result.UNACKNOWLEDGED)
        self._unacknowledged += 1
        if self._unacknowledged == 1:  # one line an outage, not one a webhook
            log.error("webhooks.not_kept", route=webhook.value, detail=str(reason))
        return Answer(503, b"not stored; try again\n", "text/plain")

    def failed(self, webhook: Webhook, defect: BaseException) -> Answer:
        self._metrics.answered(webhook, Result.FAILED)
        log.error("webhook.failed", route=webhook.value, error=type(defect).__name__, trace=_places(defect))
        return Answer(500, b"a defect of the ingress; it was logged\n", "text/plain")


def _places(defect: BaseException) -> str:
    """Only where it came from: its text, and the variables on the way, may hold a number or a body."""
    frames = reversed(traceback.extract_tb(defect.__traceback__))
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
