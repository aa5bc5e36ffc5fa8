"""The records that travel on the topics, one frozen class per Avro file of this folder.

The Avro file is the contract and says what each field means; a test holds the two together, field by field.
All times are integers: milliseconds since the epoch, UTC. Phone numbers are E.164 without channel prefix.
"""

import msgspec

from schemas.vocabulary import (
    Category,
    Channel,
    CommandKind,
    CommandResult,
    Consent,
    ConsentGroup,
    ContentKind,
    ControlAction,
    ControlScope,
    ErrorClass,
    NotificationState,
    Priority,
    RouteStatus,
    Verdict,
)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of everything that is written to a topic.

    Records hold values and other records, never a cycle: the garbage collector need not look at them.
    """


class Template(Record, frozen=True, kw_only=True):
    """A text kept by the platform, filled in here."""

    name: str
    variables: dict[str, str] = {}
    locale: str = "en"


class StepRequest(Record, frozen=True, kw_only=True):
    """One step of a chain; what it leaves out is the request's."""

    channel: str
    body: str | None = None
    template: Template | None = None
    media_urls: tuple[str, ...] = ()
    sender: str | None = None
    wait_ms: int | None = None


class NotifyRequest(Record, frozen=True, kw_only=True):
    """What a producer asks for: reach this person with this content.

    The same (tenant, idempotency_key) is the same notification, however often it is written.
    """

    tenant: str
    idempotency_key: str
    recipient: str
    region: str | None = None
    channels: tuple[str, ...] = ()
    body: str | None = None
    template: Template | None = None
    media_urls: tuple[str, ...] = ()
    category: str = "transactional"
    priority: str = "normal"
    send_at: int | None = None
    expires_at: int | None = None
    sender: str | None = None
    contacts: dict[str, str] = {}
    metadata: dict[str, str] = {}
    steps: tuple[StepRequest, ...] = ()
    smart_encoding: bool | None = None


class Origin(Record, frozen=True, kw_only=True):
    """Where a record came from."""

    topic: str
    partition: int
    offset: int


class Step(Record, frozen=True, kw_only=True):
    """One step of the chain, rendered."""

    channel: Channel
    sender: str | None = None
    body: str | None = None
    content_sid: str | None = None
    content_variables: dict[str, str] = {}
    media_urls: tuple[str, ...] = ()
    wait_ms: int | None = None
    encoding: str = "GSM-7"
    segments: int = 1
    cost: str | None = None
    smart_encoded: bool = False
    provider: str = "twilio"


class PassedOver(Record, frozen=True, kw_only=True):
    """A step that was asked for and that no sender can deliver."""

    step: int
    channel: Channel
    reason: str
    detail: str


class NotificationRequest(Record, frozen=True, kw_only=True):
    """A notify request after intake: identified, normalised, rendered; or refused with a reason."""

    notification_id: str
    tenant: str
    idempotency_key: str
    content_hash: str
    origin: Origin
    requested_at: int
    recipient: str
    country: str = "ZZ"
    carrier: str = "unknown"
    carrier_source: str = "unknown"
    channels: tuple[Channel, ...]
    steps: tuple[Step, ...] = ()
    category: Category
    priority: Priority
    send_at: int | None = None
    expires_at: int | None = None
    contacts: dict[str, str] = {}
    metadata: dict[str, str] = {}
    refusal: str | None = None
    refusal_detail: str | None = None
    cost_unit: str | None = None
    passed_over: tuple[PassedOver, ...] = ()


class ProviderStatus(Record, frozen=True, kw_only=True):
    """One status of one message as the provider told it, by callback or when asked."""

    event_id: str
    provider: str
    account_sid: str
    message_sid: str
    notification_id: str | None = None
    attempt: int | None = None
    status: str
    error_code: int | None = None
    channel: Channel
    recipient: str | None = None
    sender: str | None = None
    received_at: int
    source: str
    raw_dlr_done_date: str | None = None
    segments: int | None = None
    price: str | None = None
    price_unit: str | None = None
    parameters: dict[str, str] = {}


class Media(Record, frozen=True, kw_only=True):
    """One attachment."""

    url: str
    content_type: str


class InboundMessage(Record, frozen=True, kw_only=True):
    """A message a person sent to one of our senders."""

    provider: str
    account_sid: str
    message_sid: str
    tenant: str
    recipient: str
    sender: str
    channel: Channel
    body: str
    media: tuple[Media, ...] = ()
    opt_out_type: str | None = None
    button_payload: str | None = None
    replied_to: str | None = None
    received_at: int
    parameters: dict[str, str] = {}


class KeywordMatched(Record, frozen=True, kw_only=True):
    """A person wrote one of the configured keywords to one of our senders."""

    event_id: str
    provider: str
    account_sid: str
    message_sid: str
    tenant: str
    recipient: str
    sender: str
    channel: Channel
    keyword: str
    argument: str | None = None
    received_at: int


class CallStatus(Record, frozen=True, kw_only=True):
    """One status of one voice call as the provider told it, with the provider's own time and number."""

    event_id: str
    provider: str
    account_sid: str
    call_sid: str
    parent_call_sid: str | None = None
    notification_id: str | None = None
    attempt: int | None = None
    status: str
    direction: str | None = None
    recipient: str | None = None
    sender: str | None = None
    sequence_number: int | None = None
    happened_at: int | None = None
    source: str | None = None
    duration_s: int | None = None
    billed_minutes: int | None = None
    sip_response_code: int | None = None
    answered_by: str | None = None
    error_code: int | None = None
    received_at: int
    parameters: dict[str, str] = {}


class PlatformEvent(Record, frozen=True, kw_only=True):
    """One CloudEvent of the provider's event stream; `data` is JSON, as it came."""

    event_id: str
    provider: str
    account_sid: str
    id: str
    type: str
    source: str
    dataschema: str | None = None
    subject_sid: str | None = None
    happened_at: int | None = None
    received_at: int
    data: str
    attributes: dict[str, str] = {}


class AdmissionCheck(Record, frozen=True, kw_only=True):
    """The question whether one attempt may be sent to one person now."""

    notification_id: str
    attempt: int
    tenant: str
    recipient: str
    channel: Channel
    category: Category
    sender: str
    asked_at: int
    check: int = 1
    country: str = "ZZ"
    has_text: bool = True
    has_template: bool = False
    expires_at: int | None = None


class AdmissionVerdict(Record, frozen=True, kw_only=True):
    """The answer to an admission check."""

    notification_id: str
    attempt: int
    verdict: Verdict
    reason: str | None = None
    decided_at: int
    check: int = 1
    until: int | None = None
    not_after: int | None = None
    content: ContentKind = ContentKind.TEXT


class DeliveryEvidence(Record, frozen=True, kw_only=True):
    """What one attempt taught about a number: admission stops writing to dead ones."""

    evidence_id: str
    tenant: str
    recipient: str
    channel: Channel
    sender: str
    error_code: int | None = None
    message_sid: str | None = None
    at: int


class ConsentChange(Record, frozen=True, kw_only=True):
    """One entry of the consent ledger: who may no longer, or again, be written to, on what evidence."""

    change_id: str
    tenant: str
    recipient: str
    channel_group: ConsentGroup
    sender: str
    state: Consent
    source: str
    words: str | None = None
    evidence: str | None = None
    at: int


class OutboundCommand(Record, frozen=True, kw_only=True):
    """Something to ask of the provider; carried out at most once per command_id."""

    command_id: str
    kind: CommandKind
    notification_id: str
    attempt: int
    tenant: str
    provider: str
    channel: Channel
    sender: str
    recipient: str
    body: str | None = None
    content_sid: str | None = None
    content_variables: dict[str, str] = {}
    media_urls: tuple[str, ...] = ()
    category: Category
    segments: int
    created_at: int
    not_after: int
    sid: str | None = None
    encoding: str = "GSM-7"
    smart_encoded: bool = False
    cost: str | None = None
    cost_unit: str | None = None
    error_code: int | None = None


class AttemptEvent(Record, frozen=True, kw_only=True):
    """What became of one outbound command."""

    notification_id: str
    attempt: int
    command_id: str
    tenant: str
    sender: str
    result: CommandResult
    sid: str | None = None
    status: str | None = None
    error_code: int | None = None
    error_class: ErrorClass | None = None
    detail: str | None = None
    request_id: str | None = None
    latency_ms: int | None = None
    at: int


class JournalEntry(Record, frozen=True, kw_only=True):
    """The send journal: written before the provider is called, and again when the result is known."""

    command_id: str
    state: CommandResult
    tenant: str
    sender: str
    recipient: str
    channel: Channel
    content_digest: str
    sid: str | None = None
    started_at: int
    at: int
    provider: str = "twilio"
    detail: str | None = None
    segments: int = 1


class OutboundControl(Record, frozen=True, kw_only=True):
    """What a person decided about sending: pause or resume senders, release or drop a held command."""

    control_id: str
    action: ControlAction
    scope: ControlScope
    target: str
    by: str
    reason: str
    at: int
    until: int | None = None


class LaneState(Record, frozen=True, kw_only=True):
    """One lane of a sender."""

    lane: Priority
    waiting: int
    oldest_at: int | None = None


class PauseState(Record, frozen=True, kw_only=True):
    """Something that keeps a sender's commands waiting."""

    scope: ControlScope
    target: str
    reason: str
    until: int | None = None


class SenderState(Record, frozen=True, kw_only=True):
    """What the process that owns a sender knows of it. Compacted; the last one counts."""

    sender: str
    owner: str
    at: int
    segments_per_s: float
    set_segments_per_s: float
    tokens: float
    lanes: tuple[LaneState, ...] = ()
    in_flight: int = 0
    in_doubt: int = 0
    held: int = 0
    spent_today: int = 0
    daily_segments: int | None = None
    nothing_before: int | None = None
    pauses: tuple[PauseState, ...] = ()


class RouteError(Record, frozen=True, kw_only=True):
    """How often an error ended messages of a route."""

    code: int
    count: int


class RouteHealth(Record, frozen=True, kw_only=True):
    """How a route delivers, and the evidence. Compacted; the last one counts."""

    route: str
    tenant: str
    sender: str
    carrier: str
    country: str
    status: RouteStatus
    previous: RouteStatus
    reason: str
    since: int
    at: int
    event_id: str
    window_from: int
    window_until: int
    grace_ms: int
    counted: int
    delivered: int
    failed: int
    silent: int
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    baseline: float | None = None
    baseline_counted: int = 0
    errors: tuple[RouteError, ...] = ()


class AttemptSummary(Record, frozen=True, kw_only=True):
    """One attempt."""

    attempt: int
    channel: Channel
    sender: str
    sid: str | None = None
    status: str
    error_code: int | None = None
    error_class: ErrorClass | None = None
    segments: int
    commanded_at: int
    accepted_at: int | None = None
    sent_at: int | None = None
    delivered_at: int | None = None
    ended_at: int | None = None


class NotificationOutcome(Record, frozen=True, kw_only=True):
    """The public answer: where one notification stands. Compacted; the last one counts."""

    notification_id: str
    version: int
    tenant: str
    idempotency_key: str
    content_hash: str
    state: NotificationState
    final: bool
    reason: str | None = None
    detail: str | None = None
    recipient: str
    country: str
    carrier: str
    carrier_source: str
    category: str
    priority: str
    requested_at: int
    updated_at: int
    duplicates: int = 0
    conflicts_with: str | None = None
    attempts: tuple[AttemptSummary, ...] = ()
    metadata: dict[str, str] = {}


class DeadLetter(Record, frozen=True, kw_only=True):
    """A record nobody could read, kept whole so that it can be replayed after a fix."""

    stage: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    at: int


class TimerTick(Record, frozen=True, kw_only=True):
    """A deadline of a notification has come."""

    notification_id: str
    due_at: int
    fired_at: int
