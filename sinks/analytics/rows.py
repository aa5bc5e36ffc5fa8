"""Records to rows: what of each record lands where.

Guarantees: pure, and a function of the record, its place in Kafka and the hash key only, so that a replay
makes the same rows; no number of a recipient and no text of a message is in any of them (a property test says
so); impossible times are refused. Leaves to the tables which of two versions stands.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, TypeAlias, TypeVar

from schemas.codec import Codec
from schemas.records import (
    AttemptEvent,
    ConsentChange,
    DeadLetter,
    InboundMessage,
    NotificationOutcome,
    NotificationRequest,
    ProviderStatus,
    Record,
)
from schemas.topics import Topic
from sinks.analytics.errors import RowError
from sinks.analytics.privacy import Privacy, without_number_of, without_numbers
from sinks.analytics.tables import (
    AttemptRow,
    ConsentChangeRow,
    DeadLetterRow,
    InboundRow,
    MessageRow,
    NotificationRow,
    OutcomeHistoryRow,
    RequestRow,
    Row,
    StatusEventRow,
)

# 2000-01-01 to 2100-01-01: outside of it somebody mixed up seconds and milliseconds, and the row would open a
# partition of its own that no retention ever meets.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000
# The amount column is Decimal(18, 6).
DEAREST = Decimal(10) ** 12
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

R = TypeVar("R", bound=Record)


class Place(NamedTuple):
    """Where a record stands in Kafka: its identity here."""

    topic: str
    partition: int
    offset: int


Landing: TypeAlias = Callable[[Codec, bytes | None, Place, Privacy], tuple[Row, ...]]
"""The rows of one Kafka record. Raises WireError, RowError, RegistryUnavailable."""


def status_rows(record: ProviderStatus, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    """The raw parameters stay behind: they hold To, Body and whatever Twilio adds next."""
    return (
        StatusEventRow(
            record.notification_id or "",
            record.attempt or 0,
            record.message_sid,
            record.event_id,
            record.provider,
            record.account_sid,
            record.status,
            record.error_code or 0,
            record.channel,
            record.sender or "",
            *privacy.person(record.recipient),
            record.source,
            record.raw_dlr_done_date or "",
            record.segments or 0,
            amount(record.price),
            record.price_unit or "",
            _time(record.received_at, "received_at"),
            *place,
        ),
    )


def attempt_rows(record: AttemptEvent, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    return (
        AttemptRow(
            record.notification_id,
            record.attempt,
            record.command_id,
            record.tenant,
            record.sender,
            record.result,
            record.sid or "",
            record.status or "",
            record.error_code or 0,
            record.error_class or "",
            without_numbers(record.detail),
            record.request_id or "",
            record.latency_ms,
            _time(record.at, "at"),
            *place,
        ),
    )


def request_rows(record: NotificationRequest, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    """The size of the content is that of the first step, which most requests end with."""
    person = privacy.person(record.recipient)
    first = record.steps[0] if record.steps else None
    return (
        RequestRow(
            record.notification_id,
            record.tenant,
            without_number_of(record.idempotency_key, record.recipient),
            person.recipient_hash,
            person.recipient_last2,
            record.country,
            record.carrier,
            record.carrier_source,
            record.channels,
            len(first.body or "") if first else 0,
            next((step.content_sid for step in record.steps if step.content_sid), ""),
            len(first.media_urls) if first else 0,
            record.category,
            record.priority,
            _optional_time(record.send_at, "send_at"),
            _optional_time(record.expires_at, "expires_at"),
            (first.sender if first else None) or "",
            labels(record.metadata, record.recipient),
            record.refusal or "",
            without_numbers(record.refusal_detail),
            _time(record.requested_at, "requested_at"),
            record.origin.topic,
            record.origin.partition,
            record.origin.offset,
            *place,
        ),
    )


def inbound_rows(record: InboundMessage, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    return (
        InboundRow(
            record.tenant,
            record.message_sid,
            record.provider,
            record.account_sid,
            record.channel,
            record.sender,
            *privacy.person(record.recipient),
            len(record.body),
            len(record.media),
            record.opt_out_type or "",
            _time(record.received_at, "received_at"),
            *place,
        ),
    )


def consent_rows(record: ConsentChange, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    """The words of the person stay behind: they are a message's body."""
    person = privacy.person(record.recipient)
    return (
        ConsentChangeRow(
            person.recipient_hash,
            record.tenant,
            record.channel_group,
            record.change_id,
            person.recipient_last2,
            person.country,
            record.sender,
            record.state,
            record.source,
            without_number_of(record.evidence or "", record.recipient),
            _time(record.at, "at"),
            *place,
        ),
    )


def dead_letter_rows(record: DeadLetter, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    """Key and value stay behind; a key that is a notification's id is no secret and links the two."""
    key = record.key or b""
    return (
        DeadLetterRow(
            record.stage,
            record.topic,
            record.partition,
            record.offset,
            record.reason,
            without_numbers(record.detail),
            key.decode() if _UUID.fullmatch(key) else "",
            len(key),
            len(record.value or b""),
            _time(record.at, "at"),
            *place,
        ),
    )


def outcome_rows(record: NotificationOutcome, place: Place, privacy: Privacy) -> tuple[Row, ...]:
    person = privacy.person(record.recipient)
    requested_at = _time(record.requested_at, "requested_at")
    updated_at = _time(record.updated_at, "updated_at")
    detail = without_numbers(record.detail)
    messages = [
        MessageRow(
            record.notification_id,
            attempt.attempt,
            record.version,
            record.tenant,
            attempt.channel,
            attempt.sender,
            attempt.sid or "",
            attempt.status,
            attempt.error_code or 0,
            attempt.error_class or "",
            attempt.segments,
            person.recipient_hash,
            person.recipient_last2,
            record.country,
            record.carrier,
            record.carrier_source,
            record.category,
            record.priority,
            requested_at,
            _time(attempt.commanded_at, "commanded_at"),
            _optional_time(attempt.accepted_at, "accepted_at"),
            _optional_time(attempt.sent_at, "sent_at"),
            _optional_time(attempt.delivered_at, "delivered_at"),
            _optional_time(attempt.ended_at, "ended_at"),
            updated_at,
        )
        for attempt in record.attempts
    ]
    notification = NotificationRow(
        record.notification_id,
        record.version,
        record.tenant,
        without_number_of(record.idempotency_key, record.recipient),
        record.state,
        record.final,
        record.reason or "",
        detail,
        person.recipient_hash,
        person.recipient_last2,
        record.country,
        record.carrier,
        record.carrier_source,
        record.category,
        record.priority,
        len(record.attempts),
        sum(attempt.segments for attempt in record.attempts),
        record.duplicates,
        record.conflicts_with or "",
        labels(record.metadata, record.recipient),
        requested_at,
        updated_at,
    )
    history = OutcomeHistoryRow(
        record.notification_id,
        record.version,
        record.state,
        record.final,
        record.reason or "",
        detail,
        updated_at,
    )
    return (*messages, notification, history)


def _time(at: int, field: str) -> int:
    if not EARLIEST_MS <= at < LATEST_MS:
        raise RowError(
            "impossible-time",
            f"{field} is {at}, which is not a time between 2000 and 2100 in milliseconds since the epoch; "
            "write milliseconds, UTC",
        )
    return at


def _optional_time(at: int | None, field: str) -> int | None:
    return None if at is None else _time(at, field)


def amount(text: str | None) -> Decimal | None:
    """None also for what is no amount: it is the provider's text, and the status in it still counts."""
    if text is None:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and abs(price) < DEAREST else None


def labels(metadata: dict[str, str], recipient: str) -> dict[str, str]:
    return {
        without_number_of(name, recipient): without_number_of(value, recipient)
        for name, value in metadata.items()
    }


def _landing(record_type: type[R], rows: Callable[[R, Place, Privacy], tuple[Row, ...]]) -> Landing:
    def land(codec: Codec, value: bytes | None, place: Place, privacy: Privacy) -> tuple[Row, ...]:
        return rows(codec.decode(value, record_type), place, privacy)

    return land


LANDINGS: dict[str, Landing] = {
    Topic.STATUS.value: _landing(ProviderStatus, status_rows),
    Topic.ATTEMPTS.value: _landing(AttemptEvent, attempt_rows),
    Topic.OUTCOMES.value: _landing(NotificationOutcome, outcome_rows),
    Topic.REQUESTS.value: _landing(NotificationRequest, request_rows),
    Topic.INBOUND.value: _landing(InboundMessage, inbound_rows),
    Topic.CONSENT_CHANGES.value: _landing(ConsentChange, consent_rows),
    Topic.DEAD_LETTERS.value: _landing(DeadLetter, dead_letter_rows),
}
"""Every topic that lands, by name."""
