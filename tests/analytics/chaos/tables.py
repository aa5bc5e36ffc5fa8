"""What a row of each table and view holds, by the migrations' words.

Times are milliseconds since the epoch: `Ms` in an annotation says that the column is a time, `HourMs` that
it is one to the second. Leaves to `shapes` how to ask for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

Ms: TypeAlias = int
HourMs: TypeAlias = int


class StatusEvent(NamedTuple):
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
    received_at: Ms
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Attempt(NamedTuple):
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
    at: Ms
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Request(NamedTuple):
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
    send_at: Ms | None
    expires_at: Ms | None
    sender: str
    metadata: Mapping[str, str]
    refusal: str
    refusal_detail: str
    requested_at: Ms
    origin_topic: str
    origin_partition: int
    origin_offset: int
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Inbound(NamedTuple):
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
    received_at: Ms
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Consent(NamedTuple):
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
    at: Ms
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Letter(NamedTuple):
    stage: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    notification_id: str
    key_bytes: int
    value_bytes: int
    at: Ms
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Message(NamedTuple):
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
    requested_at: Ms
    commanded_at: Ms
    accepted_at: Ms | None
    sent_at: Ms | None
    delivered_at: Ms | None
    ended_at: Ms | None
    updated_at: Ms


class Notification(NamedTuple):
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
    metadata: Mapping[str, str]
    requested_at: Ms
    updated_at: Ms


class History(NamedTuple):
    notification_id: str
    version: int
    state: str
    final: bool
    reason: str
    detail: str
    updated_at: Ms


class Ending(NamedTuple):
    notification_id: str
    attempt: int
    version: int
    status: str
    hour: HourMs
    ending: str


class Attributed(NamedTuple):
    notification_id: str
    attempt: int
    version: int
    tenant: str
    sender: str
    status: str
    hour: HourMs
    ending: str
    country: str
    carrier: str
    carrier_source: str
    mcc: str
    mnc: str
    line_type: str


class RouteAttempt(NamedTuple):
    notification_id: str
    attempt: int
    tenant: str
    sender: str
    carrier: str
    country: str
    requested_at: Ms
    taken_at: Ms
    arrived_at: Ms | None
    has_failed: int
    error_code: int


class Deliverability(NamedTuple):
    hour: HourMs
    tenant: str
    channel: str
    country: str
    carrier: str
    carrier_source: str
    sender: str
    error_code: int
    error_class: str
    attempts: int
    delivered: int
    undelivered: int
    failed: int
    unconfirmed: int
    held: int
    not_sent: int
    open: int
    read: int
    segments: int


class StateCount(NamedTuple):
    hour: HourMs
    tenant: str
    category: str
    priority: str
    country: str
    state: str
    reason: str
    notifications: int
    duplicates: int


class RequestLatency(NamedTuple):
    notification_id: str
    tenant: str
    country: str
    carrier: str
    carrier_source: str
    requested: Ms
    requested_to_sent_ms: int


class DeliveryLatency(NamedTuple):
    notification_id: str
    attempt: int
    tenant: str
    country: str
    carrier: str
    carrier_source: str
    channel: str
    sender: str
    requested: Ms
    sent_to_delivered_ms: int


class Price(NamedTuple):
    message_sid: str
    notification: str
    sender: str
    price: Decimal
    price_unit: str
    segments: int


class Standing(NamedTuple):
    recipient_hash: str
    tenant: str
    channel_group: str
    state: str
    source: str
    since: Ms


class HourlyMessage(NamedTuple):
    hour: HourMs
    notification_id: str
    attempt: int
    version: int
    tenant: str
    channel: str
    sender: str
    status: str
    ending: str
    error_code: int
    error_class: str
    segments: int
    country: str
    carrier: str
    carrier_source: str
    category: str
    requested_at: Ms
    accepted_at: Ms | None
    sent_at: Ms | None
    delivered_at: Ms | None


class HourlyNotification(NamedTuple):
    hour: HourMs
    notification_id: str
    version: int
    tenant: str
    category: str
    priority: str
    country: str
    carrier: str
    state: str
    final: bool
    reason: str
    campaign: str
    duplicates: int
    requested_at: Ms


class ToldPrice(NamedTuple):
    notification_id: str
    attempt: int
    told_at: Ms
    price_unit: str
    price: Decimal


class HourlyPrice(NamedTuple):
    hour: HourMs
    notification_id: str
    attempt: int
    price: Decimal
    price_unit: str
    told_at: Ms


class LookedUp(NamedTuple):
    hour: HourMs
    notification_id: str
    requested_at: Ms
    valid_from: Ms
    carrier: str
    mcc: str
    mnc: str
    line_type: str
    country: str


class SenderProvider(NamedTuple):
    sender: str
    provider: str


class Send(NamedTuple):
    person: int
    notification_id: str
    tenant: str
    requested_at: Ms
    campaign: str
    category: str
    country: str


class AttemptSum(NamedTuple):
    hour: HourMs
    tenant: str
    channel: str
    country: str
    carrier: str
    carrier_source: str
    sender: str
    category: str
    error_code: int
    error_class: str
    price_unit: str
    attempts: int
    delivered: int
    undelivered: int
    failed: int
    unconfirmed: int
    held: int
    not_sent: int
    open: int
    read: int
    segments: int
    priced: int
    priced_segments: int
    unpriced_segments: int
    price: Decimal


class LatencySum(NamedTuple):
    hour: HourMs
    tenant: str
    channel: str
    country: str
    carrier: str
    carrier_source: str
    sender: str
    span: str
    latencies: Mapping[int, int]


class NotificationSum(NamedTuple):
    hour: HourMs
    tenant: str
    category: str
    priority: str
    country: str
    carrier: str
    campaign: str
    stage: str
    state: str
    final: bool
    reason: str
    notifications: int
    duplicates: int


class Hour(NamedTuple):
    hour: HourMs


Row: TypeAlias = tuple[Any, ...]
