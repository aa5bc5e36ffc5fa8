"""The public view of a notification's row: what its producer and the analysts are told."""

from typing import NamedTuple

import msgspec

from schemas.identity import conflict_id
from schemas.records import AttemptSummary, NotificationOutcome, NotificationRequest
from schemas.vocabulary import NotificationState, Verdict
from streams.delivery.attempt import AttemptState
from streams.delivery.judging import reason_after, state_after
from streams.delivery.row import NotificationRow
from streams.error_codes import classify
from streams.fold import first_seen

# What a message is before the carrier has it changes several times a second and tells nobody anything.
_BEFORE_SENT = frozenset({"accepted", "scheduled", "queued", "sending"})
_OWN_WORDS = frozenset({"rejected", "absent", "suppressed", "expired", "canceled", "not_admitted"})


class Standing(msgspec.Struct, frozen=True):
    """Where a notification stands, and why."""

    state: NotificationState
    reason: str | None = None
    detail: str | None = None


def standing(row: NotificationRow) -> Standing:
    """From facts and steps alone."""
    folded = [attempt.folded for attempt in row.attempts]
    if any(each.status == "read" for each in folded):
        return Standing(NotificationState.READ)
    if any(each.good for each in folded):
        return Standing(NotificationState.DELIVERED)
    last, closed = row.last, row.closed
    taken_back = next((attempt.bad_end for attempt in row.attempts if attempt.has_good_mark), None)
    end = taken_back or (last.bad_end if last is not None else None)
    if end is not None and (taken_back is not None or _was_unconfirmed(row)):
        return Standing(state_after(end), reason_after(end))
    if closed is not None:
        return Standing(closed.state, closed.reason, closed.detail)
    if last is None:
        send_at = row.request.send_at if row.request is not None else None
        waits = send_at is not None
        return (
            Standing(NotificationState.DEFERRED, "send-at")
            if waits
            else Standing(NotificationState.REQUESTED)
        )
    ruling = last.ruling
    if last.commanded_at is None and ruling is not None and ruling.verdict is Verdict.DEFER:
        return Standing(NotificationState.DEFERRED, ruling.reason)
    if end is None and folded[-1].status not in _BEFORE_SENT and folded[-1].status is not None:
        return Standing(NotificationState.SENT)
    return Standing(NotificationState.SENDING)


def _was_unconfirmed(row: NotificationRow) -> bool:
    """So that what is heard now came after all."""
    return row.closed is not None and row.closed.state is NotificationState.UNCONFIRMED


class View(NamedTuple):
    """What of a row its readers see, but for what never changes, and when and how often they were told."""

    stands: Standing
    duplicates: int
    attempts: tuple[AttemptSummary, ...]


def view_of(row: NotificationRow) -> View:
    stands = standing(row)
    return View(stands, row.duplicates, tuple([_summary(attempt, stands) for attempt in row.attempts]))


def outcome(request: NotificationRequest, row: NotificationRow, view: View) -> NotificationOutcome:
    """The outcome of a row whose request and view these are."""
    stands = view.stands
    return NotificationOutcome(
        notification_id=request.notification_id,
        version=row.version,
        tenant=request.tenant,
        idempotency_key=request.idempotency_key,
        content_hash=request.content_hash,
        state=stands.state,
        final=stands.state.final,
        reason=stands.reason,
        detail=_in_words(stands.detail, request),
        recipient=request.recipient,
        country=request.country,
        carrier=request.carrier,
        carrier_source=request.carrier_source,
        category=request.category,
        priority=request.priority,
        requested_at=request.requested_at,
        updated_at=max(row.heard_at, row.clock, row.closed.at if row.closed is not None else 0),
        duplicates=view.duplicates,
        attempts=view.attempts,
        metadata=request.metadata,
    )


def _in_words(detail: str | None, request: NotificationRequest) -> str | None:
    """Also what of the chain was left out, and why: nobody else tells the producer."""
    left_out = [
        f"step {each.step} ({each.channel}) was passed over: {each.detail}" for each in request.passed_over
    ]
    return "; ".join([*([detail] if detail else []), *left_out]) or None


def conflict_outcome(first: NotificationRequest, repeat: NotificationRequest, at: int) -> NotificationOutcome:
    """The refusal of a repeat whose content differs; the first stands and is named."""
    return NotificationOutcome(
        notification_id=conflict_id(first.notification_id, repeat.content_hash),
        version=1,
        tenant=repeat.tenant,
        idempotency_key=repeat.idempotency_key,
        content_hash=repeat.content_hash,
        state=NotificationState.CONFLICT,
        final=True,
        reason="other-content",
        detail="this idempotency key was used before for other content; use a new key to send this one",
        recipient=repeat.recipient,
        country=repeat.country,
        carrier=repeat.carrier,
        carrier_source=repeat.carrier_source,
        category=repeat.category,
        priority=repeat.priority,
        requested_at=repeat.requested_at,
        updated_at=at,
        conflicts_with=first.notification_id,
        attempts=(),
        metadata=repeat.metadata,
    )


def attempt_status(attempt: AttemptState) -> str:
    """One word for where an attempt stands: what the provider says, else what we know."""
    folded = attempt.folded
    if folded.ended:
        return str(folded.status)
    if folded.status is not None:
        return "accepted" if folded.status in _BEFORE_SENT else folded.status
    if attempt.accepted_at is not None:
        return "accepted"
    end = attempt.bad_end
    if end is not None and end.result in _OWN_WORDS:
        return end.result
    if attempt.answer is not None:
        return attempt.answer.result.value
    if attempt.doubted_at is not None:
        return "in_doubt"
    return "pending"


def _summary(attempt: AttemptState, stands: Standing) -> AttemptSummary:
    end = attempt.bad_end
    status = attempt_status(attempt)
    # The notification gave up waiting for its last attempt; a late report still shows through.
    if stands.state is NotificationState.UNCONFIRMED and end is None and status != "held":
        status = "unconfirmed"
    return AttemptSummary(
        attempt=attempt.attempt,
        channel=attempt.channel,
        sender=attempt.sender,
        sid=attempt.sid,
        status=status,
        error_code=end.error_code if end is not None else None,
        error_class=None if end is None else classify(end.error_code) if end.error_code else end.error_class,
        segments=attempt.segments,
        commanded_at=attempt.commanded_at or attempt.asked_at,
        accepted_at=attempt.accepted_at,
        sent_at=first_seen(attempt.marks, "sent"),
        delivered_at=first_seen(attempt.marks, "delivered") or first_seen(attempt.marks, "read"),
        ended_at=end.at if end is not None else None,
    )
