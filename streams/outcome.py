"""The public view of a notification's row: what its producer and the analysts are told."""

import msgspec

from schemas.identity import conflict_id
from schemas.records import AttemptSummary, NotificationOutcome, NotificationRequest
from schemas.vocabulary import NotificationState
from streams.fold import first_seen, fold
from streams.state import AttemptState, NotificationRow


def outcome_of(row: NotificationRow) -> NotificationOutcome | None:
    """The outcome as the row has it, or None while only callbacks have come."""
    request = row.request
    if request is None:
        return None
    return NotificationOutcome(
        notification_id=request.notification_id,
        version=row.version,
        tenant=request.tenant,
        idempotency_key=request.idempotency_key,
        content_hash=request.content_hash,
        state=row.state,
        final=row.state.final,
        reason=row.reason,
        detail=row.detail,
        recipient=request.recipient,
        country=request.country,
        carrier=request.carrier,
        carrier_source=request.carrier_source,
        category=request.category,
        priority=request.priority,
        requested_at=request.requested_at,
        updated_at=row.updated_at,
        duplicates=row.duplicates,
        attempts=tuple(_summary(attempt, row) for attempt in row.attempts),
        metadata=request.metadata,
    )


def same_view(one: NotificationOutcome | None, other: NotificationOutcome | None) -> bool:
    """Whether a reader would see no difference; when it was written is not one."""
    if one is None or other is None:
        return one is other
    return msgspec.structs.replace(one, version=0, updated_at=0) == msgspec.structs.replace(
        other, version=0, updated_at=0
    )


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
    folded = fold(attempt.marks)
    if folded.ended or attempt.result is None:
        return folded.status or ("in_doubt" if attempt.phase == "in_doubt" else "pending")
    return attempt.result if attempt.result != "accepted" else folded.status or "accepted"


def _summary(attempt: AttemptState, row: NotificationRow) -> AttemptSummary:
    folded = fold(attempt.marks)
    # The notification gave up waiting for its last attempt; a late report still shows through.
    silent = row.state is NotificationState.UNCONFIRMED and attempt is row.attempts[-1]
    status = attempt_status(attempt)
    return AttemptSummary(
        attempt=attempt.attempt,
        channel=attempt.channel,
        sender=attempt.sender,
        sid=attempt.sid,
        status="unconfirmed" if silent and status != "held" and not folded.ended else status,
        error_code=folded.error_code if folded.bad else attempt.error_code,
        error_class=attempt.error_class,
        segments=attempt.segments,
        commanded_at=attempt.commanded_at,
        accepted_at=attempt.accepted_at,
        sent_at=first_seen(attempt.marks, "sent"),
        delivered_at=first_seen(attempt.marks, "delivered") or first_seen(attempt.marks, "read"),
        ended_at=attempt.ended_at,
    )
