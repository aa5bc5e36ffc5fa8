"""Records for these tests: whole and valid, with one recipient and one body to look for in the rows."""

from __future__ import annotations

import time
import uuid
from typing import Any

from schemas.identity import command_id, notification_id
from schemas.records import (
    AttemptEvent,
    AttemptSummary,
    ConsentChange,
    DeadLetter,
    InboundMessage,
    Media,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    ProviderStatus,
    Step,
)
from schemas.vocabulary import (
    Category,
    Channel,
    CommandResult,
    Consent,
    ConsentGroup,
    NotificationState,
    Priority,
)

RECIPIENT = "+4915123456789"
SENDER = "+14155550100"
BODY = "Your parcel is at the door"
# Retention is counted from now, so the records of a test are of today.
NOW = time.time_ns() // 1_000_000


def nid(key: str) -> str:
    return notification_id("acme", key)


def sid(key: str) -> str:
    return "SM" + uuid.uuid5(uuid.NAMESPACE_URL, key).hex


def status(key: str = "k", **changes: Any) -> ProviderStatus:
    values: dict[str, Any] = {
        "event_id": "e" + key,
        "provider": "twilio",
        "account_sid": "AC" + "ab" * 16,
        "message_sid": sid(key),
        "notification_id": nid(key),
        "attempt": 1,
        "status": "delivered",
        "channel": Channel.SMS,
        "recipient": RECIPIENT,
        "sender": SENDER,
        "received_at": NOW,
        "source": "callback",
        "parameters": {"To": RECIPIENT, "From": SENDER, "Body": BODY, "MessageStatus": "delivered"},
    }
    return ProviderStatus(**(values | changes))


def attempt_event(key: str = "k", **changes: Any) -> AttemptEvent:
    values: dict[str, Any] = {
        "notification_id": nid(key),
        "attempt": 1,
        "command_id": command_id(nid(key), 1),
        "tenant": "acme",
        "sender": SENDER,
        "result": CommandResult.ACCEPTED,
        "sid": sid(key),
        "status": "queued",
        "latency_ms": 42,
        "at": NOW,
    }
    return AttemptEvent(**(values | changes))


def request(key: str = "k", **changes: Any) -> NotificationRequest:
    values: dict[str, Any] = {
        "notification_id": nid(key),
        "tenant": "acme",
        "idempotency_key": key,
        "content_hash": "c" * 64,
        "origin": Origin(topic="notify.requested", partition=3, offset=17),
        "requested_at": NOW,
        "recipient": RECIPIENT,
        "country": "DE",
        "carrier": "Telekom",
        "carrier_source": "prefix",
        "channels": (Channel.SMS,),
        "steps": (Step(channel=Channel.SMS, body=BODY),),
        "category": Category.TRANSACTIONAL,
        "priority": Priority.NORMAL,
        "metadata": {"campaign": "spring"},
    }
    return NotificationRequest(**(values | changes))


def inbound(key: str = "k", **changes: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "provider": "twilio",
        "account_sid": "AC" + "ab" * 16,
        "message_sid": sid("in" + key),
        "tenant": "acme",
        "recipient": RECIPIENT,
        "sender": SENDER,
        "channel": Channel.SMS,
        "body": BODY,
        "media": (Media(url="https://example.com/" + RECIPIENT, content_type="image/png"),),
        "received_at": NOW,
        "parameters": {"From": RECIPIENT, "Body": BODY},
    }
    return InboundMessage(**(values | changes))


def consent(key: str = "k", **changes: Any) -> ConsentChange:
    values: dict[str, Any] = {
        "change_id": "c" + key,
        "tenant": "acme",
        "recipient": RECIPIENT,
        "channel_group": ConsentGroup.SMS,
        "sender": SENDER,
        "state": Consent.OPTED_OUT,
        "source": "inbound",
        "words": BODY,
        "evidence": sid("in" + key),
        "at": NOW,
    }
    return ConsentChange(**(values | changes))


def dead_letter(offset: int = 5, **changes: Any) -> DeadLetter:
    values: dict[str, Any] = {
        "stage": "streams.intake",
        "reason": "not-avro",
        "detail": f"a value with {RECIPIENT} in it",
        "topic": "notify.requested",
        "partition": 1,
        "offset": offset,
        "key": RECIPIENT.encode(),
        "value": BODY.encode(),
        "at": NOW,
    }
    return DeadLetter(**(values | changes))


def attempt(number: int = 1, key: str = "k", **changes: Any) -> AttemptSummary:
    values: dict[str, Any] = {
        "attempt": number,
        "channel": Channel.SMS,
        "sender": SENDER,
        "sid": sid(key),
        "status": "delivered",
        "segments": 1,
        "commanded_at": NOW,
        "accepted_at": NOW + 100,
        "sent_at": NOW + 1_000,
        "delivered_at": NOW + 3_000,
        "ended_at": NOW + 3_000,
    }
    return AttemptSummary(**(values | changes))


def outcome(key: str = "k", **changes: Any) -> NotificationOutcome:
    values: dict[str, Any] = {
        "notification_id": nid(key),
        "version": 3,
        "tenant": "acme",
        "idempotency_key": key,
        "content_hash": "c" * 64,
        "state": NotificationState.DELIVERED,
        "final": True,
        "recipient": RECIPIENT,
        "country": "DE",
        "carrier": "Telekom",
        "carrier_source": "prefix",
        "category": Category.TRANSACTIONAL,
        "priority": Priority.NORMAL,
        "requested_at": NOW,
        "updated_at": NOW + 3_000,
        "attempts": (attempt(key=key),),
    }
    return NotificationOutcome(**(values | changes))
