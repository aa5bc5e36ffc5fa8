"""What the delivery processor is told of a command. Pure."""

import msgspec

from schemas.records import AttemptEvent, JournalEntry
from schemas.vocabulary import CommandResult, ErrorClass
from sinks.outbound.provider import Accepted, Ambiguous, NotSent, Rejected, SendAnswer

THROTTLED = 20429
"""Reported for whatever a provider says instead of "too many requests": the delivery processor knows the
class by it."""


def result_of(answer: SendAnswer) -> CommandResult:
    """What the journal keeps of an answer."""
    match answer:
        case Accepted():
            return CommandResult.ACCEPTED
        case Rejected() | NotSent(throttled=True):
            return CommandResult.REJECTED
        case NotSent():
            return CommandResult.ABSENT
        case Ambiguous():
            return CommandResult.IN_DOUBT


def report_of(entry: JournalEntry, answer: SendAnswer, latency_ms: int, at: int) -> AttemptEvent:
    """The attempt event of a call's answer."""
    event = report(entry, result_of(answer), at)
    details: dict[str, object] = {"latency_ms": latency_ms}
    match answer:
        case Accepted(sid, status, request_id):
            details |= {"sid": sid, "status": status, "request_id": request_id}
        case Rejected(code, verdict, detail, request_id):
            details |= {
                "error_code": code,
                "error_class": verdict.error_class,
                "detail": detail,
                "request_id": request_id,
            }
        case NotSent(detail, throttled):
            details |= {"detail": detail}
            if throttled:
                details |= {"error_code": THROTTLED, "error_class": ErrorClass.RATE}
        case Ambiguous(detail, request_id):
            details |= {"detail": detail, "request_id": request_id}
    return msgspec.structs.replace(event, **details)


def report(
    entry: JournalEntry, result: CommandResult, at: int, *, sid: str | None = None, detail: str | None = None
) -> AttemptEvent:
    """An attempt event without a call behind it."""
    notification_id, _, attempt = entry.command_id.rpartition(":")
    return AttemptEvent(
        notification_id=notification_id,
        attempt=int(attempt),
        command_id=entry.command_id,
        tenant=entry.tenant,
        sender=entry.sender,
        result=result,
        sid=sid,
        detail=detail,
        at=at,
    )
