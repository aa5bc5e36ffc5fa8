"""What facts say to others, whatever becomes of the notification: each is told once.

An opt-out the provider knows of, to the ledger; what was learnt of a number, to admission; that a doubted
message exists, to the sink; that a command is needless now, to the sink; that a message failed for something
of its sender, to the sink.
"""

from msgspec.structs import replace

from schemas.records import NotificationRequest
from schemas.vocabulary import CommandResult, ErrorClass
from streams.delivery import writing
from streams.delivery.attempt import AttemptState
from streams.delivery.row import NotificationRow
from streams.effects import Emit
from streams.error_codes import OF_THE_NUMBER, classify
from streams.fold import GOOD_ENDS

SETTLED = 1
OPTED_OUT = 2
CANCELED = 4

_OF_THE_SENDER = frozenset({ErrorClass.CONFIGURATION, ErrorClass.RATE})
"""What the sink itself hears only where the provider says it in its answer."""


def tell(row: NotificationRow, effects: list[Emit]) -> NotificationRow:
    """The row with what was told noted; the records are appended to `effects`."""
    request = row.request
    if request is None:
        return row
    for attempt in row.attempts:
        told = _told(row, request, attempt, effects)
        codes = attempt.told_codes
        if attempt.codes or attempt.answer is not None:
            codes = _told_of_codes(request, attempt, effects)
        if told != attempt.told or codes != attempt.told_codes:
            row = row.with_attempt(replace(attempt, told=told, told_codes=codes))
    return row


def _told(
    row: NotificationRow, request: NotificationRequest, attempt: AttemptState, effects: list[Emit]
) -> int:
    told = attempt.told
    if attempt.doubted_at is not None and attempt.reported_at is not None and not told & SETTLED:
        told |= SETTLED
        effects.append(writing.settle(request, attempt))
    if (attempt.codes or attempt.answer is not None) and not told & OPTED_OUT:
        known_at = [at for code, at in _codes(attempt) if classify(code) is ErrorClass.OPT_OUT]
        if known_at:
            told |= OPTED_OUT
            effects.append(writing.opt_out(request, attempt, min(known_at)))
    unheard_of = attempt.accepted_at is None and attempt.answer is None
    needless = attempt.superseded_at is not None or row.is_reached
    if needless and unheard_of and attempt.commanded_at is not None and not told & CANCELED:
        told |= CANCELED
        effects.append(writing.cancel(request, attempt, attempt.superseded_at or row.heard_at))
    return told


def _told_of_codes(
    request: NotificationRequest, attempt: AttemptState, effects: list[Emit]
) -> tuple[int, ...]:
    """Each code once; 0 for the news that the message arrived after all, which follows any of them."""
    told = set(attempt.told_codes)
    for code, at in _codes(attempt):
        if code in OF_THE_NUMBER and code not in told:
            told.add(code)
            effects.append(writing.evidence(request, attempt, code, at))
    for code, at in attempt.codes:
        if classify(code) in _OF_THE_SENDER and code not in told:
            told.add(code)
            effects.append(writing.heed(request, attempt, at, code))
    reached_at = min((mark.at for mark in attempt.marks if mark.status in GOOD_ENDS), default=None)
    if told & OF_THE_NUMBER and reached_at is not None and 0 not in told:
        told.add(0)
        effects.append(writing.evidence(request, attempt, None, reached_at))
    return tuple(sorted(told))


def _codes(attempt: AttemptState) -> list[tuple[int, int]]:
    """Error codes and when they were heard of, the first first."""
    found = list(attempt.codes)
    answer = attempt.answer
    if answer is not None and answer.result is CommandResult.REJECTED and answer.error_code is not None:
        found.append((answer.error_code, answer.at))
    return sorted(found, key=lambda each: (each[1], each[0]))
