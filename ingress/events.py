"""What a verified webhook about a message says, as the records that are written to Kafka.

Guarantees: pure; every copy of the same callback gets the same event id, whenever it comes; a status, a
channel or a parameter nobody knows is kept as it is, and told as an Oddity. Refused is only what cannot be
identified: no message, no status, nobody who wrote.
Leaves to others: whether the request is genuine, and what follows from it. What to answer to an inbound
message is decided in `ingress.answers`; calls and event streams have modules of their own.
"""

from itertools import count

import msgspec

from ingress.accepted import Accepted, OutRecord
from ingress.answers.decide import Answers, decide
from ingress.answers.guard import LoopGuard
from ingress.answers.twiml import twiml
from ingress.form import Form
from ingress.parameters import (
    INBOUND_PARAMETERS,
    MESSAGE_STATUSES,
    PROVIDER,
    STATUS_PARAMETERS,
    address,
    channel,
    missing,
    number,
    oddities,
    sid,
)
from ingress.refusals import Refusal
from schemas.identity import AttemptRef, event_id
from schemas.records import InboundMessage, Media, ProviderStatus
from schemas.topics import Topic

SOURCE = "callback"
SHARED = "*"
"""Tenant of a sender that is not named: an answer to it concerns all tenants."""

_SID_NAMES = ("MessageSid", "SmsSid", "SmsMessageSid")


class InboundContext(msgspec.Struct, frozen=True):
    """What an inbound message is judged by. `sender_tenants` gives the tenant by sender address or MG… SID.

    `account_tenant` counts for a sender that is not named. `guard` remembers what was answered; it is the one
    thing here that changes.
    """

    sender_tenants: dict[str, str]
    answers: Answers
    guard: LoopGuard
    account_tenant: str | None = None


def status_callback(form: Form, attempt: AttemptRef | None, received_at: int) -> Accepted | Refusal:
    """A status callback of a message: one ProviderStatus, answered 204. Arguments as `provider_status`.

    Keyed by notification, or by message SID when this pipeline did not send it.
    """
    record = provider_status(form, attempt, received_at)
    if isinstance(record, Refusal):
        return record
    return Accepted(
        (OutRecord(Topic.STATUS, record.notification_id or record.message_sid, record),),
        oddities=oddities(
            record.status, MESSAGE_STATUSES, record.parameters, STATUS_PARAMETERS, record.channel
        ),
    )


def inbound(form: Form, context: InboundContext, received_at: int) -> Accepted | Refusal:
    """A message from a person: the InboundMessage, a KeywordMatched if it is one, and the TwiML to answer.

    Both are keyed by the person. Of a copy of the same message the answer is the same.
    """
    message = inbound_message(form, context.sender_tenants, received_at, context.account_tenant)
    if isinstance(message, Refusal):
        return message
    decision = decide(message, context.answers, context.guard)
    written = OutRecord(Topic.INBOUND, message.recipient, message)
    keyword = decision.keyword
    return Accepted(
        (written,) if keyword is None else (written, OutRecord(Topic.KEYWORDS, message.recipient, keyword)),
        twiml(decision.text),
        oddities(None, MESSAGE_STATUSES, message.parameters, INBOUND_PARAMETERS, message.channel),
        decision.reply,
    )


def provider_status(form: Form, attempt: AttemptRef | None, received_at: int) -> ProviderStatus | Refusal:
    """The status in a status callback (facts, Twilio section 2).

    `attempt` is what the callback URL named, None for a message this pipeline did not send; `received_at`
    is in milliseconds since the epoch: the callback carries no time of its own.
    """
    message_sid = sid(form, *_SID_NAMES)
    if isinstance(message_sid, Refusal):
        return message_sid
    values = form.values
    get = values.get
    status = (get("MessageStatus") or get("SmsStatus") or "").strip().lower()
    if not status:
        return missing("MessageStatus")
    code, segments = get("ErrorCode"), get("NumSegments")
    error_code = number(code) if code else None
    if attempt is None:
        notification = tried = None
        identity = event_id(message_sid, status, str(error_code or ""), "", "")
    else:
        notification, tried = attempt
        identity = event_id(message_sid, status, str(error_code or ""), notification, str(tried))
    return ProviderStatus(
        event_id=identity,
        provider=PROVIDER,
        account_sid=get("AccountSid", ""),
        message_sid=message_sid,
        notification_id=notification,
        attempt=tried,
        status=status,
        error_code=error_code,
        channel=channel(form, message_sid),
        recipient=address(get("To")),
        sender=address(get("From")),
        received_at=received_at,
        source=SOURCE,
        raw_dlr_done_date=get("RawDlrDoneDate") or None,
        segments=number(segments) if segments else None,
        parameters=values,
    )


def inbound_message(
    form: Form, sender_tenants: dict[str, str], received_at: int, account_tenant: str | None = None
) -> InboundMessage | Refusal:
    """The message in an inbound webhook (facts, Twilio section 2). `received_at`: milliseconds, as above."""
    message_sid = sid(form, *_SID_NAMES)
    if isinstance(message_sid, Refusal):
        return message_sid
    recipient, sender = address(form.get("From")), address(form.get("To"))
    if recipient is None:
        return missing("From")
    if sender is None:
        return missing("To")
    opt_out = form.get("OptOutType")
    return InboundMessage(
        provider=PROVIDER,
        account_sid=form.values.get("AccountSid", ""),
        message_sid=message_sid,
        tenant=_tenant(form, sender, sender_tenants) or account_tenant or SHARED,
        recipient=recipient,
        sender=sender,
        channel=channel(form, message_sid),
        body=form.values.get("Body", ""),
        media=_media(form),
        opt_out_type=opt_out.strip().upper() if opt_out else None,
        button_payload=form.get("ButtonPayload"),
        replied_to=form.get("OriginalRepliedMessageSid"),
        received_at=received_at,
        parameters=form.values,
    )


def _tenant(form: Form, sender: str, sender_tenants: dict[str, str]) -> str | None:
    for named in (form.get("To"), sender, form.get("MessagingServiceSid")):
        tenant = sender_tenants.get(named) if named else None
        if tenant:
            return tenant
    return None


def _media(form: Form) -> tuple[Media, ...]:
    found: list[Media] = []
    for index in count():
        url = form.get(f"MediaUrl{index}")
        if url is None:
            break
        found.append(Media(url=url, content_type=form.values.get(f"MediaContentType{index}", "")))
    return tuple(found)
