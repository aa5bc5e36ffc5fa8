"""What a verified status callback of a voice call says, as the record that is written to Kafka.

Guarantees: pure; every copy of the same callback gets the same event id; a status or parameter nobody knows
is kept as it is, and told as an Oddity. Unlike a message's, the callback carries a time and a number of its
own, both kept, so that its readers can order what came out of order.
Leaves to others: whether the request is genuine, and what a call's status means for a notification.
"""

from email.utils import parsedate_to_datetime

from ingress.accepted import Accepted, OutRecord
from ingress.form import Form
from ingress.parameters import (
    CALL_PARAMETERS,
    CALL_STATUSES,
    PROVIDER,
    missing,
    number,
    oddities,
    sid,
)
from ingress.refusals import Refusal
from schemas.identity import AttemptRef, event_id
from schemas.records import CallStatus
from schemas.topics import Topic


def call_status(form: Form, attempt: AttemptRef | None, received_at: int) -> Accepted | Refusal:
    """One CallStatus, answered 204 (facts, Twilio section 9, Voice; voice/api/call-resource).

    `attempt` is what the callback URL named, None for a call this pipeline did not place; `received_at` is in
    milliseconds since the epoch. Keyed by notification, or by call SID without one.
    """
    call_sid = sid(form, "CallSid")
    if isinstance(call_sid, Refusal):
        return call_sid
    status = (form.get("CallStatus") or "").strip().lower()
    if not status:
        return missing("CallStatus")
    notification, tried = attempt or (None, None)
    sequence = number(form.get("SequenceNumber"))
    record = CallStatus(
        event_id=event_id(
            call_sid,
            status,
            "" if sequence is None else str(sequence),
            form.get("Timestamp") or "",
            notification or "",
            str(tried or ""),
        ),
        provider=PROVIDER,
        account_sid=form.values.get("AccountSid", ""),
        call_sid=call_sid,
        parent_call_sid=form.get("ParentCallSid"),
        notification_id=notification,
        attempt=tried,
        status=status,
        direction=form.get("Direction"),
        recipient=form.get("To", "Called"),
        sender=form.get("From", "Caller"),
        sequence_number=sequence,
        happened_at=_milliseconds(form.get("Timestamp")),
        source=form.get("CallbackSource"),
        duration_s=number(form.get("CallDuration")),
        billed_minutes=number(form.get("Duration")),
        sip_response_code=number(form.get("SipResponseCode")),
        answered_by=form.get("AnsweredBy"),
        error_code=number(form.get("ErrorCode")),
        received_at=received_at,
        parameters=form.values,
    )
    return Accepted(
        (OutRecord(Topic.CALLS, notification or call_sid, record),),
        oddities=oddities(status, CALL_STATUSES, form.values, CALL_PARAMETERS, None),
    )


def _milliseconds(timestamp: str | None) -> int | None:
    """RFC 2822 as milliseconds since the epoch; None for another text, and for a time without its zone."""
    if timestamp is None:
        return None
    try:
        parsed = parsedate_to_datetime(timestamp)
        return None if parsed.tzinfo is None else round(parsed.timestamp() * 1000)
    except (ValueError, OverflowError, TypeError, IndexError):
        # What the standard library raises for texts that are nearly a time.
        return None
