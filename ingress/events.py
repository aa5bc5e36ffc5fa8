"""What a verified webhook says, as the record that is written to Kafka.

Guarantees: pure; every copy of the same callback gets the same event id, whenever it comes; a status nobody
knows is kept as it is; every parameter is kept verbatim. Anything that cannot be a record is a Refusal.
Leaves to others: whether the request is genuine, and what follows from it.
"""

import re
from itertools import count

from ingress.form import Form
from ingress.refusals import Reason, Refusal
from schemas.identity import AttemptRef, event_id
from schemas.records import InboundMessage, Media, ProviderStatus
from schemas.vocabulary import Channel

PROVIDER = "twilio"
SOURCE = "callback"
SHARED = "*"
"""Tenant of a sender that is not named: an answer to it concerns all tenants."""

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
# A decimal number of an Avro int; other texts stay readable in `parameters`.
_INT = re.compile(r"[0-9]{1,9}", re.ASCII)


def provider_status(form: Form, attempt: AttemptRef | None, received_at: int) -> ProviderStatus | Refusal:
    """The status in a status callback (facts, Twilio section 2).

    `attempt` is what the callback URL named, None for a message this pipeline did not send; `received_at`
    is in milliseconds since the epoch: the callback carries no time of its own.
    """
    sid = _message_sid(form)
    if isinstance(sid, Refusal):
        return sid
    status = (form.get("MessageStatus", "SmsStatus") or "").strip().lower()
    if not status:
        return _missing("MessageStatus")
    channel = _channel(form, sid)
    if isinstance(channel, Refusal):
        return channel
    error_code = _number(form.get("ErrorCode"))
    notification, number = attempt or (None, None)
    return ProviderStatus(
        event_id=event_id(sid, status, str(error_code or ""), notification or "", str(number or "")),
        provider=PROVIDER,
        account_sid=form.values.get("AccountSid", ""),
        message_sid=sid,
        notification_id=notification,
        attempt=number,
        status=status,
        error_code=error_code,
        channel=channel,
        recipient=_address(form.get("To")),
        sender=_address(form.get("From")),
        received_at=received_at,
        source=SOURCE,
        raw_dlr_done_date=form.get("RawDlrDoneDate"),
        segments=_number(form.get("NumSegments")),
        parameters=form.values,
    )


def inbound_message(form: Form, sender_tenants: dict[str, str], received_at: int) -> InboundMessage | Refusal:
    """The message in an inbound webhook (facts, Twilio section 2). `received_at`: milliseconds, as above."""
    sid = _message_sid(form)
    if isinstance(sid, Refusal):
        return sid
    recipient, sender = _address(form.get("From")), _address(form.get("To"))
    if recipient is None:
        return _missing("From")
    if sender is None:
        return _missing("To")
    channel = _channel(form, sid)
    if isinstance(channel, Refusal):
        return channel
    opt_out = form.get("OptOutType")
    return InboundMessage(
        provider=PROVIDER,
        account_sid=form.values.get("AccountSid", ""),
        message_sid=sid,
        tenant=_tenant(form, sender, sender_tenants),
        recipient=recipient,
        sender=sender,
        channel=channel,
        body=form.values.get("Body", ""),
        media=_media(form),
        opt_out_type=opt_out.upper() if opt_out else None,
        received_at=received_at,
        parameters=form.values,
    )


def _message_sid(form: Form) -> str | Refusal:
    sid = form.get("MessageSid", "SmsSid", "SmsMessageSid")
    if sid is None:
        return _missing("MessageSid")
    if _SID.fullmatch(sid) is None:
        return Refusal(Reason.BAD_PARAMETER, "MessageSid is not two letters and 32 hexadecimal digits")
    return sid


def _missing(name: str) -> Refusal:
    return Refusal(
        Reason.MISSING_PARAMETER, f"{name} is missing or empty; is this the URL of another kind of webhook?"
    )


def _channel(form: Form, sid: str) -> Channel | Refusal:
    """From the prefix of an address, or ChannelPrefix; MM is a message with media where neither says more.

    A media message on WhatsApp has an MM SID too, so the SID is asked last.
    """
    for address in (form.get("To"), form.get("From")):
        prefix, colon, _ = (address or "").partition(":")
        if colon:
            return _named(prefix)
    prefix = form.get("ChannelPrefix") or ""
    if prefix:
        return _named(prefix)
    return Channel.MMS if sid.startswith("MM") else Channel.SMS


def _named(prefix: str) -> Channel | Refusal:
    try:
        return Channel(prefix.strip().lower())
    except ValueError:
        return Refusal(
            Reason.UNKNOWN_CHANNEL,
            f"channel {prefix[:32]!r} is none of {', '.join(Channel)}; point its webhooks somewhere else",
        )


def _address(value: str | None) -> str | None:
    """The address without its channel prefix."""
    return value.rpartition(":")[2].strip() or None if value else None


def _tenant(form: Form, sender: str, sender_tenants: dict[str, str]) -> str:
    for address in (form.get("To"), sender, form.get("MessagingServiceSid")):
        tenant = sender_tenants.get(address) if address else None
        if tenant:
            return tenant
    return SHARED


def _media(form: Form) -> tuple[Media, ...]:
    found: list[Media] = []
    for index in count():
        url = form.get(f"MediaUrl{index}")
        if url is None:
            break
        found.append(Media(url=url, content_type=form.values.get(f"MediaContentType{index}", "")))
    return tuple(found)


def _number(text: str | None) -> int | None:
    return int(text) if text and _INT.fullmatch(text) else None
