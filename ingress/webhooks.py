"""The two routes Twilio calls: read, turn into a record, write, answer.

Guarantees: 2xx only after the broker has the record; 503 with Retry-After when it may not have it; 4xx for
what is refused, and then nothing was written. Every answer is counted. Logs carry no body and no phone
number, and neither an attacker nor an outage can fill them.
Leaves to others: everything that follows from a webhook.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ingress import events
from ingress.callback_url import attempt_of
from ingress.encoding import Encoder
from ingress.errors import NotAcknowledged
from ingress.metrics import Metrics, Result, Webhook
from ingress.reading import Reader, Verified
from ingress.refusals import Reason, Refusal
from schemas.records import InboundMessage, ProviderStatus
from schemas.topics import Topic

log = structlog.get_logger("ingress")

RETRY_AFTER_S = 2
# One line per reason in this many seconds, with the count so far; the metrics have every one.
REFUSAL_LOG_S = 10.0
# No reply of ours: answers to HELP and STOP are Twilio's, by its own or the account's keywords.
EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


class Webhooks:
    """The handlers of one application."""

    __slots__ = (
        "_journal",
        "_log_again_at",
        "_metrics",
        "_reader",
        "_refused",
        "_sender_tenants",
        "_unacknowledged",
    )

    def __init__(
        self, reader: Reader, sender_tenants: dict[str, str], journal: Encoder, metrics: Metrics
    ) -> None:
        self._reader = reader
        self._sender_tenants = sender_tenants
        self._journal = journal
        self._metrics = metrics
        self._unacknowledged = 0
        self._refused: Counter[Reason] = Counter()
        self._log_again_at: dict[Reason, float] = {}

    async def status(self, request: Request) -> Response:
        """A status callback, keyed by notification, or by message SID when this pipeline did not send it."""
        return await self._take(Webhook.STATUS, request, self._status_record, Response(status_code=204))

    async def inbound(self, request: Request) -> Response:
        """A message from a person, keyed by the person."""
        answer = Response(EMPTY_TWIML, media_type="text/xml")
        return await self._take(Webhook.INBOUND, request, self._inbound_record, answer)

    async def _take(
        self,
        webhook: Webhook,
        request: Request,
        understand: "Callable[[Verified, int], Accepted | Refusal]",
        answer: Response,
    ) -> Response:
        received_at = time.time_ns() // 1_000_000
        try:
            read = await self._reader.read(request)
            accepted = read if isinstance(read, Refusal) else understand(read, received_at)
            if isinstance(accepted, Refusal):
                return self._refuse(webhook, accepted)
            began = time.perf_counter()
            await self._journal.write(*accepted)
        except NotAcknowledged as reason:
            return self._put_off(webhook, reason)
        except Exception:
            self._metrics.answered(webhook, Result.FAILED)
            raise  # Starlette answers 500 and the server logs it
        self._metrics.acknowledged(webhook, time.perf_counter() - began)
        if self._unacknowledged:
            log.info("webhooks.acknowledged_again", put_off=self._unacknowledged)
            self._unacknowledged = 0
        return answer

    def _status_record(self, read: Verified, received_at: int) -> "Accepted | Refusal":
        record = events.provider_status(read.form, attempt_of(read.query), received_at)
        if isinstance(record, Refusal):
            return record
        return Topic.STATUS, record.notification_id or record.message_sid, record

    def _inbound_record(self, read: Verified, received_at: int) -> "Accepted | Refusal":
        record = events.inbound_message(read.form, self._sender_tenants, received_at)
        if isinstance(record, Refusal):
            return record
        return Topic.INBOUND, record.recipient, record

    def _refuse(self, webhook: Webhook, refusal: Refusal) -> Response:
        self._metrics.refused(webhook, refusal.reason)
        self._log_refusal(webhook, refusal)
        status = refusal.reason.status
        # What is left of a body that was not read to its end would be taken for the next request.
        headers = {"connection": "close"} if status in (408, 413, 415) else None
        return PlainTextResponse(f"{refusal.reason}: {refusal.detail}\n", status, headers)

    def _log_refusal(self, webhook: Webhook, refusal: Refusal) -> None:
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

    def _put_off(self, webhook: Webhook, reason: NotAcknowledged) -> Response:
        self._metrics.answered(webhook, Result.UNACKNOWLEDGED)
        self._unacknowledged += 1
        if self._unacknowledged == 1:  # one line an outage, not one a webhook
            log.error("webhooks.not_acknowledged", route=webhook.value, detail=str(reason))
        return PlainTextResponse("not stored; try again\n", 503, headers={"retry-after": str(RETRY_AFTER_S)})


Accepted = tuple[Topic, str, ProviderStatus | InboundMessage]
