"""Twilio's Messages resource behind the provider protocol.

Source: facts, Twilio sections 4, 5 and 11. Twilio has no idempotency key, so every end of a call is
classified by one question: can a message exist? 2xx: yes. A refusal with a code: no. 429: never processed.
No connection: no. Anything else, be it a 5xx, a time-out, a broken answer or a page of HTML: perhaps.
"""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from schemas.identity import event_id, text_digest
from schemas.records import OutboundCommand, ProviderStatus
from schemas.vocabulary import Channel
from sinks.outbound.config import TwilioAccount
from sinks.outbound.provider import (
    Accepted,
    Ambiguous,
    FoundMessage,
    LookupFailed,
    NotSent,
    Rejected,
    SendAnswer,
)
from sinks.outbound.twilio_http import Call, TooLate, TwilioHttp, current_call

T = TypeVar("T")
_LOOKUP_LIMIT = 200
_MAX_VALIDITY_S = 36_000


class TwilioMessages:
    """Must be created on the running event loop; `close` it there."""

    def __init__(self, account: TwilioAccount, pool: int) -> None:
        self._account_sid = account.account_sid
        self._http = TwilioHttp(account.api_url, account.connect_timeout_s, account.read_timeout_s, pool)
        self._client = Client(
            account.username, account.password, account_sid=account.account_sid, http_client=self._http
        )

    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        call = Call(begin_before)
        current_call.set(call)
        try:
            message = await self._client.messages.create_async(**_parameters(command, callback_url))
        except TwilioRestException as refused:
            return _refusal(refused, call)
        except TooLate:
            return NotSent("not begun in time")
        except Exception as broken:  # the network's, or whatever the SDK makes of a broken answer
            what = type(broken).__name__
            if call.may_be_written:
                return Ambiguous(f"{what} after the request may have left", call.request_id)
            return NotSent(f"{what} before a connection was made")
        if not str(message.sid).startswith(("SM", "MM")):
            return Ambiguous("an answer without a message's SID", call.request_id)
        return Accepted(message.sid, str(message.status), call.request_id)

    async def find(self, sender: str, recipient: str, channel: str, since: int) -> tuple[FoundMessage, ...]:
        # No DateSent filter: a message that waits in Twilio's queue has none yet. Newest come first.
        listed = await self._asked(
            lambda: self._client.messages.list_async(to=_address(recipient, channel), limit=_LOOKUP_LIMIT)
        )
        if listed is None:
            raise LookupFailed("HTTP 404 for the list of messages: is the account's SID right?")
        if len(listed) >= _LOOKUP_LIMIT and all(_ms(m.date_created) >= since for m in listed):
            raise LookupFailed(f"{_LOOKUP_LIMIT} messages to one person since then: the list may be cut")
        ours = (m for m in listed if sender in (m.messaging_service_sid, _bare(m.from_)))
        found = (
            FoundMessage(
                sid=str(m.sid),
                content_digest=text_digest(m.body),
                created_at=_ms(m.date_created),
            )
            for m in ours
        )
        # Twilio tells whole seconds.
        return tuple(message for message in found if message.created_at >= since - 1000)

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        message = await self._asked(lambda: self._client.messages(command.sid).fetch_async())
        if message is None:
            return None
        status, error = str(message.status), message.error_code
        return ProviderStatus(
            event_id=event_id("poll", str(message.sid), status, str(error)),
            provider="twilio",
            account_sid=self._account_sid,
            message_sid=str(message.sid),
            notification_id=command.notification_id,
            attempt=command.attempt,
            status=status,
            error_code=int(error) if error else None,
            channel=command.channel,
            recipient=command.recipient,
            sender=_bare(message.from_) or command.sender,
            received_at=int(time.time() * 1000),
            source="poll",
            segments=int(message.num_segments) if message.num_segments else None,
            price=str(message.price) if message.price else None,
            price_unit=message.price_unit if message.price else None,
        )

    async def close(self) -> None:
        await self._http.close()

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, None for 404. Raises LookupFailed, which repeats nothing of what was said."""
        current_call.set(Call())
        try:
            return await question()
        except TwilioRestException as refused:
            if refused.status == 404:
                return None
            failure = f"HTTP {refused.status}, code {refused.code}"
        except Exception as broken:  # the network's, or whatever the SDK makes of a broken answer
            failure = type(broken).__name__
        raise LookupFailed(failure)


def _refusal(refused: TwilioRestException, call: Call) -> SendAnswer:
    if refused.status == 429:
        return NotSent("throttled (429)", throttled=True, retry_after_s=call.retry_after_s)
    # The SDK puts the HTTP status where the body has no code of Twilio's: then it is not Twilio's word.
    if 400 <= refused.status < 500 and refused.code and refused.code != refused.status:
        return Rejected(int(refused.code), f"HTTP {refused.status}, code {refused.code}", call.request_id)
    return Ambiguous(f"HTTP {refused.status}, code {refused.code}", call.request_id)


def _parameters(command: OutboundCommand, callback_url: str) -> dict[str, Any]:
    """Twilio's own parameter names, as the SDK spells them."""
    content: dict[str, Any] = {}
    if command.content_sid is not None:
        content["content_sid"] = command.content_sid
        if command.content_variables:
            content["content_variables"] = json.dumps(command.content_variables)
    else:
        if command.body:
            content["body"] = command.body
            if command.smart_encoded:
                content["smart_encoded"] = True
        if command.media_urls:
            content["media_url"] = list(command.media_urls)
    if command.sender.startswith("MG"):
        content["messaging_service_sid"] = command.sender
    else:
        content["from_"] = _address(command.sender, command.channel)
    left_s = (command.not_after - int(time.time() * 1000)) // 1000
    if left_s < _MAX_VALIDITY_S:
        content["validity_period"] = max(1, left_s)
    return content | {"to": _address(command.recipient, command.channel), "status_callback": callback_url}


def _address(address: str, channel: str) -> str:
    return f"{channel}:{address}" if channel in (Channel.WHATSAPP, Channel.RCS) else address


def _bare(address: str | None) -> str | None:
    return address.partition(":")[2] or address if address else None


def _ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0
