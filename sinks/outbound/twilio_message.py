"""What Twilio's Message resource says, read with care: absence is concluded from what is read here.

Pure. Source: facts, Twilio sections 1, 4 and 11. Guarantees: what cannot be read is LookupFailed, never a
guess; nothing that is raised repeats a number or a text.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.identity import event_id, text_digest
from schemas.records import OutboundCommand, ProviderStatus
from sinks.outbound.provider import TWILIO, FoundMessage, LookupFailed
from sinks.outbound.twilio_endings import is_message_sid
from sinks.outbound.twilio_form import bare

_WHOLE_SECOND_MS = 1000
"""Twilio tells whole seconds."""


def found_in(listed: Sequence[Any], sender: str, since: int, limit: int) -> tuple[FoundMessage, ...]:
    """The messages of this sender since then, of a list that was asked for `limit`, the newest first.

    Raises LookupFailed where the list may be cut, or one of its messages cannot be read.
    """
    if len(listed) >= limit and all(_created_at(message) >= since for message in listed):
        raise LookupFailed(f"{limit} messages to one person since then: the list may be cut")
    ours = [message for message in listed if sender in (message.messaging_service_sid, bare(message.from_))]
    if not all(is_message_sid(message.sid) for message in ours):
        raise LookupFailed("a message in the list has no SID")
    found = (FoundMessage(m.sid, text_digest(m.body), _created_at(m)) for m in ours)
    return tuple(message for message in found if message.created_at >= since - _WHOLE_SECOND_MS)


def status_of(message: Any, command: OutboundCommand, account_sid: str, now: int) -> ProviderStatus:
    """The status of the message that the command names. Raises LookupFailed when it is another, or none."""
    if message.sid != command.sid or not isinstance(message.status, str):
        raise LookupFailed("an answer that is not the message asked for")
    error = message.error_code
    price = str(message.price) if message.price else None
    try:
        error_code = int(error) if error else None
        segments = int(message.num_segments) if message.num_segments else None
    except (TypeError, ValueError):
        raise LookupFailed("a message with an error code or a number of segments that is none") from None
    return ProviderStatus(
        event_id=event_id("poll", message.sid, message.status, str(error), str(price)),
        provider=TWILIO,
        account_sid=account_sid,
        message_sid=message.sid,
        notification_id=command.notification_id,
        attempt=command.attempt,
        status=message.status,
        error_code=error_code,
        channel=command.channel,
        recipient=command.recipient,
        sender=bare(message.from_) or command.sender,
        received_at=now,
        source="poll",
        segments=segments,
        price=price,
        price_unit=message.price_unit if price is not None else None,
    )


def _created_at(message: Any) -> int:
    if not isinstance(message.date_created, datetime):
        raise LookupFailed("a message in the list has no time")
    return int(message.date_created.timestamp() * 1000)
