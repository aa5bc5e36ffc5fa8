"""What one event means for its notification: the new row, and what has to be written."""

from typing import NamedTuple

from msgspec.structs import replace

from schemas.records import (
    AdmissionVerdict,
    AttemptEvent,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    ProviderStatus,
    TimerTick,
)
from schemas.topics import Topic
from streams.delivery.deadlines import is_forgotten
from streams.delivery.facts import join
from streams.delivery.policy import DeliveryPolicy
from streams.delivery.row import NotificationRow
from streams.delivery.steps import settled
from streams.delivery.view import conflict_outcome, outcome, view_of
from streams.effects import Emit

Event = NotificationRequest | AdmissionVerdict | AttemptEvent | ProviderStatus | TimerTick


class Decision(NamedTuple):
    """`row` is None for one that is forgotten, or was never worth a row."""

    row: NotificationRow | None
    effects: tuple[Emit, ...]


_NOTHING = NotificationRow()


def decide(row: NotificationRow | None, event: Event, at: int, policy: DeliveryPolicy) -> Decision:
    """`at` is the event's broker time in ms, the same for each reading of a record. Only a request's counts:
    what lay in its topic too long has expired.

    The same row object is returned when the event is no news.
    """
    before = row or _NOTHING
    match event:
        case NotificationRequest():
            if before.request is not None:
                return _again(before, before.request, event, at)
            arrived_at = max(at, event.requested_at)
            heard_at = max(before.heard_at, arrived_at)
            heard = replace(before, request=event, arrived_at=arrived_at, heard_at=heard_at)
        case TimerTick():
            if before.due_at is None or event.due_at < before.due_at:
                return Decision(row, ())  # the deadline was moved since, or the row is gone
            heard = replace(before, clock=max(before.clock, event.due_at))
            if is_forgotten(heard, policy):
                return Decision(None, ())
        case _:
            heard = join(before, event)
            if heard is before:
                return Decision(row, ())
    after, effects = settled(heard, policy)
    if after == before:
        return Decision(row, tuple(effects))
    return _published(before, after, effects)


def _published(before: NotificationRow, after: NotificationRow, effects: list[Emit]) -> Decision:
    request = after.request
    if request is not None:
        view = view_of(after)
        if before.request is None or view != view_of(before):
            after = replace(after, version=before.version + 1)
            told = outcome(request, after, view)
            effects.append(Emit(Topic.OUTCOMES, told.notification_id, told))
    return Decision(after, tuple(effects))


def _again(
    row: NotificationRow, first: NotificationRequest, repeat: NotificationRequest, at: int
) -> Decision:
    if repeat.origin == first.origin:
        return Decision(row, ())  # the same record once more, after a crash
    if repeat.content_hash != first.content_hash:
        refusal: NotificationOutcome = conflict_outcome(first, repeat, at)
        return Decision(row, (Emit(Topic.OUTCOMES, refusal.notification_id, refusal),))
    counted = _counted(row, repeat.origin)
    return Decision(row, ()) if counted is row else _published(row, counted, [])


def _counted(row: NotificationRow, origin: Origin) -> NotificationRow:
    """Each repeat once, however often it is read: those of one partition come in its order, so the last one
    counted tells which were."""
    seen = dict(row.repeats)
    if origin.offset <= seen.get(origin.partition, -1):
        return row
    seen[origin.partition] = origin.offset
    return replace(row, repeats=tuple(sorted(seen.items())), duplicates=row.duplicates + 1)
