"""The rows of every table, column for column as `migrations/` declares them; a test holds the two together.

Times are milliseconds since the epoch, as DateTime64(3) stores them. Empty text and 0 stand for "not told"
where the column is not nullable.
"""

from decimal import Decimal
from typing import NamedTuple, TypeAlias


class StatusEventRow(NamedTuple):
    notification_id: str
    attempt: int
    message_sid: str
    event_id: str
    provider: str
    account_sid: str
    status: str
    error_code: int
    channel: str
    sender: str
    recipient_hash: str
    recipient_last2: str
    country: str
    source: str
    carrier_done_at: str
    segments: int
    price: Decimal | None
    price_unit: str
    received_at: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class AttemptRow(NamedTuple):
    notification_id: str
    attempt: int
    command_id: str
    tenant: str
    sender: str
    result: str
    message_sid: str
    status: str
    error_code: int
    error_class: str
    detail: str
    request_id: str
    latency_ms: int | None
    at: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


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
    body_chars: int
    content_sid: str
    media_count: int
    category: str
    priority: str
    send_at: int | None
    expires_at: int | None
    sender: str
    metadata: dict[str, str]
    refusal: str
    refusal_detail: str
    requested_at: int
    origin_topic: str
    origin_partition: int
    origin_offset: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


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
    body_chars: int
    media_count: int
    opt_out_type: str
    received_at: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


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
    at: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class DeadLetterRow(NamedTuple):
    stage: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    notification_id: str
    key_bytes: int
    value_bytes: int
    at: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class MessageRow(NamedTuple):
    notification_id: str
    attempt: int
    version: int
    tenant: str
    channel: str
    sender: str
    message_sid: str
    status: str
    error_code: int
    error_class: str
    segments: int
    recipient_hash: str
    recipient_last2: str
    country: str
    carrier: str
    carrier_source: str
    category: str
    priority: str
    requested_at: int
    commanded_at: int
    accepted_at: int | None
    sent_at: int | None
    delivered_at: int | None
    ended_at: int | None
    updated_at: int


class NotificationRow(NamedTuple):
    notification_id: str
    version: int
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
    attempts: int
    segments: int
    duplicates: int
    conflicts_with: str
    metadata: dict[str, str]
    requested_at: int
    updated_at: int


class OutcomeHistoryRow(NamedTuple):
    notification_id: str
    version: int
    state: str
    final: bool
    reason: str
    detail: str
    updated_at: int


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
