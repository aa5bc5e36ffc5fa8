"""The records that a delivery's steps write. Each has an id that is the same whenever the step is."""

from schemas.identity import command_id, event_id
from schemas.records import (
    AdmissionCheck,
    ConsentChange,
    DeliveryEvidence,
    NotificationRequest,
    OutboundCommand,
)
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, Consent, ContentKind, Priority
from streams.delivery.attempt import AttemptState
from streams.effects import Emit

# A settling or canceling is right whenever it comes.
_NEVER = 2**53


def check(request: NotificationRequest, attempt: AttemptState) -> Emit:
    step = request.steps[attempt.step]
    asked = AdmissionCheck(
        notification_id=request.notification_id,
        attempt=attempt.attempt,
        tenant=request.tenant,
        recipient=request.recipient,
        channel=attempt.channel,
        category=request.category,
        sender=attempt.sender,
        asked_at=attempt.asked_at,
        check=attempt.check,
        country=request.country,
        has_text=not attempt.template_only and (step.body is not None or bool(step.media_urls)),
        has_template=step.content_sid is not None,
        expires_at=request.expires_at,
    )
    return Emit(Topic.CHECKS, request.recipient, asked)


def as_template(request: NotificationRequest, attempt: AttemptState) -> bool:
    """Whether the attempt is sent as its step's template."""
    step, ruling = request.steps[attempt.step], attempt.ruling
    text_allowed = ruling is not None and ruling.content is ContentKind.TEXT and not attempt.template_only
    return step.content_sid is not None and not (text_allowed and step.body is not None)


def send(request: NotificationRequest, attempt: AttemptState) -> Emit:
    step = request.steps[attempt.step]
    template = as_template(request, attempt)
    command = _command(
        request,
        attempt,
        CommandKind.SEND,
        "",
        created_at=attempt.commanded_at or 0,
        not_after=attempt.not_after or 0,
        body=None if template else step.body,
        content_sid=step.content_sid if template else None,
        content_variables=step.content_variables if template else {},
        media_urls=() if template else step.media_urls,
        segments=attempt.segments,
        encoding=step.encoding,
        smart_encoded=step.smart_encoded and not template,
        cost=step.cost,
        cost_unit=request.cost_unit if step.cost is not None else None,
    )
    return Emit(Topic.commands(request.priority), attempt.sender, command)


def settle(request: NotificationRequest, attempt: AttemptState) -> Emit:
    """The evidence for the sink that the command it is in doubt about was carried out."""
    command = _command(
        request,
        attempt,
        CommandKind.SETTLE,
        ":settle",
        created_at=attempt.doubted_at or 0,
        not_after=_NEVER,
        sid=attempt.sid,
    )
    return Emit(Topic.commands(Priority.URGENT), attempt.sender, command)


def cancel(request: NotificationRequest, attempt: AttemptState, at: int) -> Emit:
    command = _command(request, attempt, CommandKind.CANCEL, ":cancel", created_at=at, not_after=_NEVER)
    return Emit(Topic.commands(Priority.URGENT), attempt.sender, command)


def heed(request: NotificationRequest, attempt: AttemptState, at: int, code: int) -> Emit:
    """For the sink: those behind it may fail for the same reason."""
    command = _command(
        request,
        attempt,
        CommandKind.HEED,
        f":heed:{code}",
        created_at=at,
        not_after=_NEVER,
        sid=attempt.sid,
        error_code=code,
    )
    return Emit(Topic.commands(Priority.URGENT), attempt.sender, command)


def fetch(request: NotificationRequest, attempt: AttemptState, at: int, not_after: int) -> Emit:
    return _fetch(request, attempt, f":fetch:{attempt.fetches}", at, not_after)


def ask_price(request: NotificationRequest, attempt: AttemptState, at: int, not_after: int) -> Emit:
    """The price comes with the status, which is known already."""
    return _fetch(request, attempt, f":price:{attempt.price_asks}", at, not_after)


def _fetch(request: NotificationRequest, attempt: AttemptState, suffix: str, at: int, not_after: int) -> Emit:
    command = _command(
        request, attempt, CommandKind.FETCH, suffix, created_at=at, not_after=not_after, sid=attempt.sid
    )
    return Emit(Topic.commands(Priority.BULK), attempt.sender, command)


def opt_out(request: NotificationRequest, attempt: AttemptState, at: int) -> Emit:
    """What the provider knows of the person's will, for the ledger."""
    change = ConsentChange(
        change_id=event_id("provider", command_id(request.notification_id, attempt.attempt)),
        tenant=request.tenant,
        recipient=request.recipient,
        channel_group=attempt.channel.consent_group,
        sender=attempt.sender,
        state=Consent.OPTED_OUT,
        source="provider",
        evidence=attempt.sid or command_id(request.notification_id, attempt.attempt),
        at=at,
    )
    return Emit(Topic.CONSENT_EVIDENCE, request.recipient, change)


def evidence(request: NotificationRequest, attempt: AttemptState, code: int | None, at: int) -> Emit:
    """What was learnt of the number; code None: it was reached after all."""
    learnt = DeliveryEvidence(
        evidence_id=event_id("number", command_id(request.notification_id, attempt.attempt), str(code)),
        tenant=request.tenant,
        recipient=request.recipient,
        channel=attempt.channel,
        sender=attempt.sender,
        error_code=code,
        message_sid=attempt.sid,
        at=at,
    )
    return Emit(Topic.DELIVERY_EVIDENCE, request.recipient, learnt)


def _command(
    request: NotificationRequest,
    attempt: AttemptState,
    kind: CommandKind,
    suffix: str,
    *,
    created_at: int,
    not_after: int,
    body: str | None = None,
    content_sid: str | None = None,
    content_variables: dict[str, str] | None = None,
    media_urls: tuple[str, ...] = (),
    segments: int = 0,
    sid: str | None = None,
    encoding: str = "GSM-7",
    smart_encoded: bool = False,
    cost: str | None = None,
    cost_unit: str | None = None,
    error_code: int | None = None,
) -> OutboundCommand:
    return OutboundCommand(
        command_id=command_id(request.notification_id, attempt.attempt) + suffix,
        kind=kind,
        notification_id=request.notification_id,
        attempt=attempt.attempt,
        tenant=request.tenant,
        provider=request.steps[attempt.step].provider,
        channel=attempt.channel,
        sender=attempt.sender,
        recipient=request.recipient,
        body=body,
        content_sid=content_sid,
        content_variables=content_variables or {},
        media_urls=media_urls,
        category=request.category,
        segments=segments,
        created_at=created_at,
        not_after=not_after,
        sid=sid,
        encoding=encoding,
        smart_encoded=smart_encoded,
        cost=cost,
        cost_unit=cost_unit,
        error_code=error_code,
    )
