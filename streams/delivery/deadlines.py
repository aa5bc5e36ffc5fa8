"""When a notification has to be looked at again, from its facts alone.

Guarantees: every row has a deadline, and a step or the row's end follows from it: none waits for ever.
"""

from schemas.vocabulary import Verdict
from streams.delivery.attempt import AttemptState
from streams.delivery.policy import DeliveryPolicy
from streams.delivery.pricing import price_due_at
from streams.delivery.row import NotificationRow


def deadline_of(row: NotificationRow, policy: DeliveryPolicy) -> int:
    """Milliseconds since the epoch. Of a row that is at its end: when it asks a price, or is forgotten."""
    request = row.request
    if request is None or row.closed is not None or row.is_reached:
        price_at = price_due_at(row, policy)
        end_at = forgotten_at(row, policy)
        return end_at if price_at is None else min(price_at, end_at)
    last = row.last
    if last is None:
        return request.send_at or row.arrived_at
    if row.retry_at is not None:
        return row.retry_at
    if last.commanded_at is None:
        ruling = last.ruling
        if ruling is not None and ruling.verdict is Verdict.DEFER:
            return ruling.until or ruling.at
        again_at = asked_again_at(last, policy)
        return again_at if request.expires_at is None else min(again_at, request.expires_at)
    end = last.bad_end
    if end is not None:
        return end.at + policy.settle_ms
    if last.accepted_at is None:
        due_at = (last.not_after or 0) + policy.unconfirmed_after_ms
    else:
        due_at = min(next_fetch_at(last, policy), last.accepted_at + policy.unconfirmed_after_ms)
    wait_ms = request.steps[last.step].wait_ms
    if wait_ms is not None and last.step + 1 < len(request.steps):
        due_at = min(due_at, (last.accepted_at or last.commanded_at) + wait_ms)
    return due_at


def asked_again_at(attempt: AttemptState, policy: DeliveryPolicy) -> int:
    """When a check that nobody answered is asked once more."""
    return attempt.asked_at + policy.admission_again_ms * attempt.asks


def next_fetch_at(attempt: AttemptState, policy: DeliveryPolicy) -> int:
    """Less and less often, counted from the acceptance: a time that news do not move costs nothing. And once
    more in time for an answer before it is given up."""
    accepted_at = attempt.accepted_at or 0
    before = accepted_at + policy.quiet_after_ms * ((1 << attempt.fetches) - 1)
    regular = accepted_at + policy.quiet_after_ms * ((2 << attempt.fetches) - 1)
    last = last_fetch_at(attempt, policy)
    return last if before < last < regular else regular


def last_fetch_at(attempt: AttemptState, policy: DeliveryPolicy) -> int:
    return (attempt.accepted_at or 0) + policy.unconfirmed_after_ms - policy.quiet_after_ms


def forgotten_at(row: NotificationRow, policy: DeliveryPolicy) -> int:
    since = max(row.heard_at, row.closed.at if row.closed is not None else 0)
    return since + policy.remember_ms


def is_forgotten(row: NotificationRow, policy: DeliveryPolicy) -> bool:
    """Whether nothing more is expected of it, and its time is over."""
    at_end = row.request is None or row.closed is not None or row.is_reached
    return at_end and row.clock >= forgotten_at(row, policy)
