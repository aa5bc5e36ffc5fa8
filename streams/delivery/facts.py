"""Taking a fact into the row: what was said of an attempt, whatever else was said before or after.

Guarantees: joining facts in any order, and any of them again, gives the same row; nothing is decided here. A
fact of an attempt that is not there yet is kept until it is.
Leaves to others: what follows (`streams.delivery.steps`). Requests and deadlines are no such facts: they
come in one order each, that of their partition and that of time.
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from schemas.records import AdmissionVerdict, AttemptEvent, ProviderStatus
from schemas.vocabulary import CommandResult
from streams.delivery.attempt import AttemptState, Ruling, SinkAnswer
from streams.delivery.row import Early, NotificationRow
from streams.fold import BAD_ENDS, KNOWN, StatusMark, add_mark

MOST_EARLY = 64
"""Of facts that are early; more than that is not a history of ours, and the latest are dropped."""

F = TypeVar("F", bound=AdmissionVerdict | AttemptEvent | ProviderStatus)
Fact = AdmissionVerdict | AttemptEvent | ProviderStatus


def join(row: NotificationRow, fact: Fact) -> NotificationRow:
    """The row with the fact in it; the same object when it says nothing new."""
    number = fact.attempt
    if number is None or number < 1:
        return row  # a message this pipeline did not send: the topic and ClickHouse keep it
    attempt = row.attempt(number)
    if attempt is None or (isinstance(fact, AdmissionVerdict) and fact.check > attempt.check):
        return _keep_early(row, fact)
    joined = _joined(attempt, fact)
    # Also a fact that is no news is the last that was heard: else that would depend on the order.
    return _heard(row if joined is attempt else row.with_attempt(joined), fact)


def join_early(row: NotificationRow) -> NotificationRow:
    """The row after what had come too early for its attempts, as far as they are there now."""
    early = row.early
    if not len(early):
        return row
    row = replace(row, early=Early())
    facts: tuple[Fact, ...] = (*early.verdicts, *early.answers, *early.statuses)
    for fact in facts:
        row = join(row, fact)
    return row


def _keep_early(row: NotificationRow, fact: Fact) -> NotificationRow:
    early = row.early
    if len(early) >= MOST_EARLY:
        return row
    match fact:
        case AdmissionVerdict():
            verdicts = _added(early.verdicts, fact, lambda v: (v.attempt, v.check, v.decided_at))
            early = replace(early, verdicts=verdicts)
        case AttemptEvent():
            answers = _added(early.answers, fact, lambda a: (a.attempt, a.at, a.result, a.command_id))
            early = replace(early, answers=answers)
        case ProviderStatus():
            statuses = _added(
                early.statuses, fact, lambda s: (s.attempt or 0, s.received_at, s.status, s.event_id)
            )
            early = replace(early, statuses=statuses)
    return _heard(row if early is row.early else replace(row, early=early), fact)


def _added(kept: tuple[F, ...], fact: F, order: Callable[[F], tuple[int | str, ...]]) -> tuple[F, ...]:
    return kept if fact in kept else tuple(sorted((*kept, fact), key=order))


def _joined(attempt: AttemptState, fact: Fact) -> AttemptState:
    match fact:
        case AdmissionVerdict():
            return _ruled(attempt, fact)
        case AttemptEvent():
            return _answered(attempt, fact)
        case ProviderStatus():
            return _reported(attempt, fact)


def _ruled(attempt: AttemptState, verdict: AdmissionVerdict) -> AttemptState:
    if attempt.ruling is not None or verdict.check != attempt.check:
        return attempt
    ruling = Ruling(
        verdict.verdict,
        verdict.reason,
        verdict.decided_at,
        verdict.until,
        verdict.not_after,
        verdict.content,
    )
    return replace(attempt, ruling=ruling)


def _answered(attempt: AttemptState, event: AttemptEvent) -> AttemptState:
    match event.result:
        case CommandResult.ACCEPTED:
            return _accepted(attempt, event.sid, event.at, event.status, None)
        case CommandResult.IN_DOUBT:
            if attempt.doubted_at is not None and attempt.doubted_at <= event.at:
                return attempt
            return replace(attempt, doubted_at=event.at)
        case CommandResult.STARTED:
            return attempt
    answer = SinkAnswer(event.result, event.at, event.error_code, event.detail, event.error_class)
    known = attempt.answer
    if known is not None and _order(known) >= _order(answer):
        return attempt
    return replace(attempt, answer=answer)


def _order(answer: SinkAnswer) -> tuple[int, int, str]:
    """What is certain beats held, which may be released; of what is certain the first."""
    return (0 if answer.result is CommandResult.HELD else 1, -answer.at, answer.result)


def _reported(attempt: AttemptState, status: ProviderStatus) -> AttemptState:
    if attempt.sid is not None and attempt.sid != status.message_sid:
        return attempt  # another message claims the same attempt: the first one stands
    accepted = _accepted(attempt, status.message_sid, status.received_at, status.status, status.error_code)
    if status.price is not None and not accepted.is_priced:
        accepted = replace(accepted, is_priced=True)
    # A code that comes with anything but a bad end is a stale one of the provider's.
    code = status.error_code if status.status in BAD_ENDS else None
    codes = _with_code(accepted.codes, code, status.received_at)
    known = accepted.reported_at
    if known is not None and known <= status.received_at and codes == accepted.codes:
        return accepted
    reported_at = status.received_at if known is None else min(known, status.received_at)
    return replace(accepted, reported_at=reported_at, codes=codes)


def _with_code(codes: tuple[tuple[int, int], ...], code: int | None, at: int) -> tuple[tuple[int, int], ...]:
    """Every code is kept, also of a status that was seen before with another one."""
    if code is None:
        return codes
    known = dict(codes)
    known[code] = min(at, known.get(code, at))
    return tuple(sorted(known.items()))


def _accepted(
    attempt: AttemptState, sid: str | None, at: int, status: str | None, error_code: int | None
) -> AttemptState:
    """The provider has the message, whoever says so."""
    marks = attempt.marks
    if status in KNOWN:
        marks = add_mark(marks, StatusMark(status=status, at=at, error_code=error_code))
    accepted_at = at if attempt.accepted_at is None else min(at, attempt.accepted_at)
    named = attempt.sid or sid
    if marks == attempt.marks and accepted_at == attempt.accepted_at and named == attempt.sid:
        return attempt
    return replace(attempt, marks=marks, accepted_at=accepted_at, sid=named)


def _heard(row: NotificationRow, fact: Fact) -> NotificationRow:
    match fact:
        case AdmissionVerdict():
            at = fact.decided_at
        case AttemptEvent():
            at = fact.at
        case ProviderStatus():
            at = fact.received_at
    return row if at <= row.heard_at else replace(row, heard_at=at)
