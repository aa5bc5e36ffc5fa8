"""One request, normalised."""

import msgspec

from schemas.identity import notification_id
from schemas.records import NotificationRequest, NotifyRequest, Origin, PassedOver, Step
from schemas.vocabulary import Category, Priority
from streams.intake import words
from streams.intake.bounds import MAX_NAME, MAX_RENDERED, MAX_REQUEST
from streams.intake.fingerprint import content_hash
from streams.intake.policy import IntakePolicy
from streams.intake.recipient import NOBODY, recipient_of
from streams.intake.refusals import Refusal, Unidentifiable
from streams.intake.routing import routed
from streams.intake.steps import Terms, steps_of


def normalise(
    request: NotifyRequest, origin: Origin, requested_at: int, policy: IntakePolicy
) -> NotificationRequest:
    """The request as the pipeline carries it; with `refusal` set, and without steps, when it is invalid.

    One that is too large is refused and carried on as its identity alone. Raises Unidentifiable when tenant
    or idempotency key is missing or longer than MAX_NAME.
    """
    _check_identity(request)
    hashed = content_hash(request)
    tenant = policy.policies.of(request.tenant)
    refused: Refusal | None = None
    recipient = NOBODY
    category, priority = Category.TRANSACTIONAL, Priority.NORMAL
    steps: tuple[Step, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    try:
        _check_size(request, MAX_REQUEST, "the request")
        recipient = recipient_of(request.recipient, request.region or policy.default_region)
        category = words.category(request.category)
        priority = words.priority(request.priority)
        made = steps_of(request, Terms(recipient.country, category, tenant, policy.templates))
        chain = routed(made, request, recipient, category, policy)
        _check_size(chain.steps, MAX_RENDERED, "the request with its steps filled in")
        if request.expires_at is not None and request.expires_at <= (request.send_at or 0):
            raise Refusal("expires-before-send", "expires_at is not later than send_at")
        steps, passed_over = chain
    except Refusal as refusal:
        refused = refusal
        if refusal.reason == "too-large":
            request = NotifyRequest(
                tenant=request.tenant, idempotency_key=request.idempotency_key, recipient=""
            )
    return NotificationRequest(
        notification_id=notification_id(request.tenant, request.idempotency_key),
        tenant=request.tenant,
        idempotency_key=request.idempotency_key,
        content_hash=hashed,
        origin=origin,
        requested_at=requested_at,
        recipient=recipient.number,
        country=recipient.country,
        carrier=recipient.carrier,
        carrier_source=recipient.carrier_source,
        channels=tuple(step.channel for step in steps),
        steps=steps,
        category=category,
        priority=priority,
        send_at=request.send_at,
        expires_at=request.expires_at,
        contacts=request.contacts,
        metadata=request.metadata,
        refusal=refused.reason if refused else None,
        refusal_detail=str(refused) if refused else None,
        cost_unit=tenant.prices.currency if any(step.cost for step in steps) else None,
        passed_over=passed_over,
    )


def _check_identity(request: NotifyRequest) -> None:
    if not request.tenant.strip() or not request.idempotency_key.strip():
        raise Unidentifiable("tenant and idempotency_key must not be empty: they identify the notification")
    if len(request.tenant) > MAX_NAME or len(request.idempotency_key) > MAX_NAME:
        raise Unidentifiable(f"tenant and idempotency_key must not be longer than {MAX_NAME} characters each")


def _check_size(value: NotifyRequest | tuple[Step, ...], limit: int, what: str) -> None:
    size = len(msgspec.json.encode(value))
    if size > limit:
        raise Refusal("too-large", f"{what} has {size} bytes as JSON; at most {limit} can be taken")
