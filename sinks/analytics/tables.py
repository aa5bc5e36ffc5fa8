"""The rows of every table, column for column as `migrations/` declares them; a test holds the two together.

Times are milliseconds since the epoch, as DateTime64(3) stores them. Empty text and 0 stand for "not told"
where the column is not nullable. The types name how a column travels: `frames` reads them.
"""

from decimal import Decimal
from typing import Annotated, NamedTuple, TypeAlias

Int32: TypeAlias = Annotated[int, "Int32"]
Int64: TypeAlias = Annotated[int, "Int64"]
Time: TypeAlias = Annotated[int, "DateTime64(3)"]
Amount: TypeAlias = Annotated[Decimal, "Decimal(18, 6)"]


class StatusEventRow(NamedTuple):
    notification_id: str
    attempt: Int32
    message_sid: str
    event_id: str
    provider: str
    account_sid: str
    status: str
    error_code: Int32
    channel: str
    sender: str
    recipient_hash: str
    recipient_last2: str
    country: str
    source: str
    carrier_done_at: str
    segments: Int32
    price: Amount | None
    price_unit: str
    received_at: Time
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class AttemptRow(NamedTuple):
    notification_id: str
    attempt: Int32
    command_id: str
    tenant: str
    sender: str
    result: str
    message_sid: str
    status: str
    error_code: Int32
    error_class: str
    detail: str
    request_id: str
    latency_ms: Int32 | None
    at: Time
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class RequestRow(NamedTuple):
    notification_id: str
    tenant: str
    idempotency_key: str
    recipient_hash: str
    recipient_last2: str
    country: str
    carrier: str
    carrier_source: str
    channels: tuple[str, ...]
    body_chars: Int32
    content_sid: str
    media_count: Int32
    category: str
    priority: str
    send_at: Time | None
    expires_at: Time | None
    sender: str
    metadata: dict[str, str]
    refusal: str
    refusal_detail: str
    requested_at: Time
    origin_topic: str
    origin_partition: Int32
    origin_offset: Int64
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class InboundRow(NamedTuple):
    tenant: str
    message_sid: str
    provider: str
    account_sid: str
    channel: str
    sender: str
    recipient_hash: str
    recipient_last2: str
    country: str
    body_chars: Int32
    media_count: Int32
    opt_out_type: str
    received_at: Time
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class ConsentChangeRow(NamedTuple):
    recipient_hash: str
    tenant: str
    channel_group: str
    change_id: str
    recipient_last2: str
    country: str
    sender: str
    state: str
    source: str
    evidence: str
    at: Time
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class DeadLetterRow(NamedTuple):
    stage: str
    topic: str
    partition: Int32
    offset: Int64
    reason: str
    detail: str
    notification_id: str
    key_bytes: Int32
    value_bytes: Int32
    at: Time
    kafka_topic: str
    kafka_partition: Int32
    kafka_offset: Int64


class MessageRow(NamedTuple):
    notification_id: str
    attempt: Int32
    version: Int64
    tenant: str
    channel: str
    sender: str
    message_sid: str
    status: str
    error_code: Int32
    error_class: str
    segments: Int32
    recipient_hash: str
    recipient_last2: str
    country: str
    carrier: str
    carrier_source: str
    category: str
    priority: str
    requested_at: Time
    commanded_at: Time
    accepted_at: Time | None
    sent_at: Time | None
    delivered_at: Time | None
    ended_at: Time | None
    updated_at: Time


class NotificationRow(NamedTuple):
    notification_id: str
    version: Int64
    tenant: str
    idempotency_key: str
    state: str
    final: bool
    reason: str
    detail: str
    recipient_hash: str
    recipient_last2: str
    country: str
    carrier: str
    carrier_source: str
    category: str
    priority: str
    attempts: Int32
    segments: Int32
    duplicates: Int32
    conflicts_with: str
    metadata: dict[str, str]
    requested_at: Time
    updated_at: Time


class OutcomeHistoryRow(NamedTuple):
    notification_id: str
    version: Int64
    state: str
    final: bool
    reason: str
    detail: str
    updated_at: Time


Row: TypeAlias = (
    StatusEventRow
    | AttemptRow
    | RequestRow
    | InboundRow
    | ConsentChangeRow
    | DeadLetterRow
    | MessageRow
    | NotificationRow
    | OutcomeHistoryRow
)

TABLES: dict[type[Row], str] = {
    StatusEventRow: "status_events",
    AttemptRow: "attempts",
    RequestRow: "requests",
    InboundRow: "inbound",
    ConsentChangeRow: "consent_changes",
    DeadLetterRow: "dead_letters",
    MessageRow: "messages",
    NotificationRow: "notifications",
    OutcomeHistoryRow: "outcome_history",
}
"""Which table a row goes to. Also the order of the inserts: what explains a state lands before the state."""
