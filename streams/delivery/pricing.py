"""Asking what a message cost, some time after its end: the provider prices messages later than it reports.

Pure. Guarantees: only when the deployment wants it (`price_after_ms`), only of messages that are billed, a
few times at most, less and less often, and not any more once a price is known; the last question can be
answered as long as the row is remembered, so that a standstill of whoever asks or answers costs no price.
Leaves to others: the fetch itself within its budget (`sinks.outbound.fetches`), and the price, which goes
with the fetched status to ClickHouse.
"""

from msgspec.structs import replace

from schemas.records import NotificationRequest
from streams.delivery import writing
from streams.delivery.attempt import AttemptState
from streams.delivery.policy import DeliveryPolicy
from streams.delivery.row import NotificationRow
from streams.effects import Emit
from streams.fold import GOOD_ENDS

MOST_ASKS = 3

_BILLED = GOOD_ENDS | {"undelivered"}


def price_due_at(row: NotificationRow, policy: DeliveryPolicy) -> int | None:
    """When the next price of a row that is at its end is to be asked for; None: never."""
    return min((due for each in row.attempts if (due := _due_at(each, policy)) is not None), default=None)


def ask_for_prices(
    row: NotificationRow, request: NotificationRequest, policy: DeliveryPolicy
) -> tuple[NotificationRow, list[Emit]]:
    """The row with what is asked for now noted, one question a message whatever time has gone by. Each may
    be answered until the next one is due."""
    effects: list[Emit] = []
    for attempt in row.attempts:
        asked, due_at = attempt, _due_at(attempt, policy)
        while due_at is not None and due_at <= row.clock:
            asked = replace(asked, price_asks=asked.price_asks + 1)
            at, due_at = due_at, _due_at(asked, policy)
        if asked is not attempt:
            row = row.with_attempt(asked)
            effects.append(writing.ask_price(request, asked, at, due_at or at + policy.remember_ms))
    return row, effects


def _due_at(attempt: AttemptState, policy: DeliveryPolicy) -> int | None:
    if policy.price_after_ms is None or attempt.sid is None or attempt.is_priced:
        return None
    ended_at = min((mark.at for mark in attempt.marks if mark.status in _BILLED), default=None)
    if ended_at is None or attempt.price_asks >= MOST_ASKS:
        return None
    return ended_at + policy.price_after_ms * ((2 << attempt.price_asks) - 1)
