"""What facts say to others, whatever becomes of the notification: each is told once.

An opt-out the provider knows of, to the ledger; what was learnt of a number, to admission; that a doubted
message exists, to the sink; that a command is needless now, to the sink.
"""

from msgspec.structs import replace

from schemas.records import NotificationRequest
from schemas.vocabulary import CommandResult, ErrorClass
from streams.delivery import writing
from streams.delivery.row import AttemptState, NotificationRow
from streams.effects import Emit
from streams.error_codes import OF_THE_NUMBER, classify
from streams.fold import GOOD_ENDS

SETTLED = 1
OPTED_OUT = 2
NUMBER = 4
REVIVED = 8
CANCELED = 16


def tell(row: NotificationRow, effects: list[Emit]) -> NotificationRow:
    """The row with what was told noted; the records are appended to `effects`."""
    request = row.request
    if request is None:
        return row
    for attempt in row.attempts:
        told = _told(row, request, attempt, effects)
        if told != attempt.told:
            row = row.with_attempt(replace(attempt, told=told))
    return row


def _told(
    row: NotificationRow, request: NotificationRequest, attempt: AttemptState, effects: list[Emit]
) -> int:
    told = attempt.told
    if attempt.doubted_at is not None and attempt.reported_at is not None and not told & SETTLED:
        told |= SETTLED
        effects.append(writing.settle(request, attempt))
    if attempt.has_bad_mark or attempt.answer is not None:
        for code, at in _codes(attempt):
            if classify(code) is ErrorClass.OPT_OUT and not told & OPTED_OUT:
                told |= OPTED_OUT
                effects.append(writing.opt_out(request, attempt, at))
            if code in OF_THE_NUMBER and not told & NUMBER:
                told |= NUMBER
                effects.append(writing.evidence(request, attempt, code, at))
    if told & NUMBER and not told & REVIVED:
        reached_at = min((mark.at for mark in attempt.marks if mark.status in GOOD_ENDS), default=None)
        if reached_at is not None:
            told |= REVIVED
            effects.append(writing.evidence(request, attempt, None, reached_at))
    needless = attempt is row.last and attempt.commanded_at is not None and attempt.accepted_at is None
    if needless and attempt.answer is None and row.is_reached and not told & CANCELED:
        told |= CANCELED
        effects.append(writing.cancel(request, attempt, row.heard_at))
    return told


def _codes(attempt: AttemptState) -> list[tuple[int, int]]:
    """Error codes and when they were heard of, the first first."""
    found = [(mark.error_code, mark.at) for mark in attempt.marks if mark.error_code is not None]
    answer = attempt.answer
    if answer is not None and answer.result is CommandResult.REJECTED and answer.error_code is not None:
        found.append((answer.error_code, answer.at))
    return sorted(found, key=lambda each: (each[1], each[0]))
