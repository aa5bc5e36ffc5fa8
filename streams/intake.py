"""Intake: a producer's request becomes a normalised one, or a refused one with a reason it understands.

Pure and stateless: the same request at the same place always gives the same result. Duplicates are not
noticed here but where the notification's row lives.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
import phonenumbers
from phonenumbers import PhoneNumber, carrier

from schemas.identity import notification_id
from schemas.records import NotificationRequest, NotifyRequest, Origin
from schemas.vocabulary import SENDABLE_CHANNELS, Category, Channel, Priority
from streams.templates import TemplateError, Templates, render

MAX_BODY = 1600  # characters; Twilio refuses more with 21617 (facts, Twilio section 4)
MAX_MEDIA = 10  # 21623
MAX_REQUEST = 32_768  # bytes as JSON: request, row and outcome carry it on, and a broker takes 1 MB at most
MAX_NAME = 255  # characters of tenant and of idempotency key


W = TypeVar("W", Channel, Category, Priority)


class Refusal(Exception):
    """Why a request cannot be sent. `reason` is a code, the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unidentifiable(Exception):
    """The request names no notification that could be told of, so nobody can be: a dead letter."""


class IntakePolicy(msgspec.Struct, frozen=True):
    default_region: str | None = None
    templates: Templates = {}


class Content(NamedTuple):
    body: str | None
    content_sid: str | None
    variables: dict[str, str]


def normalise(
    request: NotifyRequest, origin: Origin, requested_at: int, policy: IntakePolicy
) -> NotificationRequest:
    """The request as the pipeline carries it; with `refusal` set when it is invalid.

    One that is too large is refused and carried on as its identity alone. Raises Unidentifiable when tenant
    or idempotency key is missing or longer than MAX_NAME.
    """
    if not request.tenant.strip() or not request.idempotency_key.strip():
        raise Unidentifiable("tenant and idempotency_key must not be empty: they identify the notification")
    if len(request.tenant) > MAX_NAME or len(request.idempotency_key) > MAX_NAME:
        raise Unidentifiable(f"tenant and idempotency_key must not be longer than {MAX_NAME} characters each")
    refused: Refusal | None = None
    hashed = content_hash(request)
    size = len(msgspec.json.encode(request))
    if size > MAX_REQUEST:
        request = NotifyRequest(
            tenant=request.tenant, idempotency_key=request.idempotency_key, recipient="", channels=()
        )
    number: PhoneNumber | None = None
    channels: tuple[Channel, ...] = ()
    content = Content(None, None, {})
    category, priority = Category.TRANSACTIONAL, Priority.NORMAL
    try:
        if size > MAX_REQUEST:
            raise Refusal(
                "too-large", f"the request has {size} bytes as JSON; at most {MAX_REQUEST} can be taken"
            )
        number = _number(request, policy)
        channels = tuple(
            dict.fromkeys(_word(SENDABLE_CHANNELS, "channel", name) for name in request.channels)
        )
        category = _word(Category, "category", request.category)
        priority = _word(Priority, "priority", request.priority)
        if not channels:
            raise Refusal("no-channel", "channels is empty; leave it out for sms")
        content = _content(request, policy)
        _check_media(request)
        if request.expires_at is not None and request.expires_at <= (request.send_at or 0):
            raise Refusal("expires-before-send", "expires_at is not later than send_at")
    except Refusal as refusal:
        refused = refusal
    carrier_name = _carrier(number)
    return NotificationRequest(
        notification_id=notification_id(request.tenant, request.idempotency_key),
        tenant=request.tenant,
        idempotency_key=request.idempotency_key,
        content_hash=hashed,
        origin=origin,
        requested_at=requested_at,
        recipient=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else "",
        country=phonenumbers.region_code_for_number(number) or "ZZ" if number else "ZZ",
        carrier=carrier_name or "unknown",
        carrier_source="prefix" if carrier_name else "unknown",
        channels=channels,
        body=content.body,
        content_sid=content.content_sid,
        content_variables=content.variables,
        media_urls=request.media_urls,
        category=category,
        priority=priority,
        send_at=request.send_at,
        expires_at=request.expires_at,
        sender=request.sender,
        contacts=request.contacts,
        metadata=request.metadata,
        refusal=refused.reason if refused else None,
        refusal_detail=str(refused) if refused else None,
    )


def content_hash(request: NotifyRequest) -> str:
    """SHA-256 of all that a repeat must have in common with the first: everything but key and metadata."""
    fields = msgspec.to_builtins(request)
    for ours in ("tenant", "idempotency_key", "metadata"):
        del fields[ours]
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def _number(request: NotifyRequest, policy: IntakePolicy) -> PhoneNumber:
    region = (request.region or policy.default_region or "").strip().upper() or None
    try:
        number = phonenumbers.parse(request.recipient, region)
    except phonenumbers.NumberParseException as unparsable:
        hint = "" if region else "; write it as +<country code><number>, or name its region"
        raise Refusal(
            "invalid-number", f"recipient is not a phone number: {unparsable._msg.rstrip('.')}{hint}"
        ) from unparsable
    if not phonenumbers.is_valid_number(number):
        raise Refusal(
            "invalid-number",
            f"recipient cannot exist: no such number in the plan of +{number.country_code}; check the digits",
        )
    return number


def _word(vocabulary: Iterable[W], field: str, word: str) -> W:
    for known in vocabulary:
        if known == word:
            return known
    raise Refusal(
        f"unknown-{field}", f"{field} {word[:40]!r} is not known; use one of {', '.join(vocabulary)}"
    )


def _content(request: NotifyRequest, policy: IntakePolicy) -> Content:
    template = request.template
    if template is not None and request.body is not None:
        raise Refusal("two-contents", "both body and template are set; set one")
    if template is not None and template.name.startswith("HX"):
        return Content(None, template.name, template.variables)
    if template is not None:
        try:
            body = render(policy.templates, template)
        except TemplateError as unfillable:
            raise Refusal(unfillable.reason, str(unfillable)) from unfillable
    else:
        body = request.body or ""
    if not body.strip() and not request.media_urls:
        raise Refusal("empty-body", "there is nothing to say: set body, template or media_urls")
    if len(body) > MAX_BODY:
        raise Refusal("body-too-long", f"body has {len(body)} characters; at most {MAX_BODY} can be sent")
    return Content(body, None, {})


def _check_media(request: NotifyRequest) -> None:
    if len(request.media_urls) > MAX_MEDIA:
        raise Refusal(
            "too-many-media", f"{len(request.media_urls)} media_urls; at most {MAX_MEDIA} can be sent"
        )
    for url in request.media_urls:
        if not _fetchable(url):
            raise Refusal("bad-media-url", f"every media_url must be a public http(s) URL; not {url[:80]!r}")


def _fetchable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. half an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _carrier(number: PhoneNumber | None) -> str:
    return str(carrier.name_for_number(number, "en")) if number else ""
