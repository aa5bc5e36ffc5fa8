"""What holds in every history of a notification: crashed and replayed, doubled, and at every single step.

Not claimed: that every order of events ends in the same row. Only statuses of one message are order-free (see
the fold); the time at which a bad end is heard decides whether another attempt starts.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import command_id
from schemas.records import AttemptEvent, NotificationOutcome, OutboundCommand, ProviderStatus
from schemas.vocabulary import CommandKind, CommandResult, NotificationState
from streams.delivery.row import AttemptState, NotificationRow
from streams.effects import Emit
from streams.fold import fold
from tests.streams.builders import NID, POLICY
from tests.streams.histories import Step, conflict_ids, histories, identified, is_conflict, play

MANY = settings(max_examples=300)
REACHED = (NotificationState.DELIVERED, NotificationState.READ)


def is_open(attempt: AttemptState) -> bool:
    waiting = attempt.phase in ("checking", "commanded", "in_doubt")
    return waiting or (attempt.phase == "accepted" and not fold(attempt.marks).ended)


def timeless(effects: dict[tuple[str, str], Emit]) -> dict[tuple[str, str], Emit]:
    """Without the time of a conflict: a repeat written twice is refused twice, at two times, by one id."""
    return {
        identity: each._replace(record=msgspec.structs.replace(each.record, updated_at=0))
        if is_conflict(each)
        else each
        for identity, each in effects.items()
    }


@MANY
@given(histories(), st.data())
def test_a_crash_anywhere_ends_in_the_same_row_and_the_same_effects(
    steps: list[Step], data: st.DataObject
) -> None:
    # Row and effects up to `kept` were committed together; the offsets only up to `read`.
    kept = data.draw(st.integers(0, len(steps)), label="kept")
    read = data.draw(st.integers(0, kept), label="read")
    undisturbed = play(steps)
    before = play(steps[:kept])
    after = play(steps[read:], before.end)
    assert after.end == undisturbed.end
    assert identified(before.effects + after.effects) == identified(undisturbed.effects)


@MANY
@given(histories(), st.data())
def test_crash_upon_crash_ends_in_the_same_row_and_the_same_effects(
    steps: list[Step], data: st.DataObject
) -> None:
    undisturbed = play(steps)
    row: NotificationRow | None = None
    effects: list[tuple[Emit, ...]] = []
    kept = 0
    for _ in range(data.draw(st.integers(1, 4), label="crashes")):
        further = data.draw(st.integers(kept, len(steps)), label="kept")
        read = data.draw(st.integers(0, kept), label="read")
        part = play(steps[read:further], row)
        row, kept = part.end, further
        effects += part.effects
    rest = play(steps[kept:], row)
    assert rest.end == undisturbed.end
    assert identified((*effects, *rest.effects)) == identified(undisturbed.effects)


@MANY
@given(histories(), st.data())
def test_copies_of_events_change_neither_the_row_nor_what_is_written(
    steps: list[Step], data: st.DataObject
) -> None:
    undisturbed = play(steps)
    doubled = list(steps)
    for _ in range(data.draw(st.integers(1, 5), label="copies")):
        first = data.draw(st.integers(0, len(doubled) - 1), label="of")
        later = data.draw(st.integers(first + 1, len(doubled)), label="put at")
        # The broker gives the copy the time at which it is written.
        doubled.insert(later, doubled[first]._replace(at=doubled[later - 1].at))
    played = play(doubled)
    assert played.end == undisturbed.end
    assert timeless(identified(played.effects)) == timeless(identified(undisturbed.effects))


@MANY
@given(histories())
def test_at_most_one_attempt_is_open_at_any_time_and_it_is_the_last(steps: list[Step]) -> None:
    for row in play(steps).rows:
        assert [a.attempt for a in row.attempts if is_open(a)] in ([], [len(row.attempts)])


@MANY
@given(histories())
def test_every_notification_that_has_not_ended_has_a_deadline_and_no_other_has(steps: list[Step]) -> None:
    for row in play(steps).rows[1:]:
        assert (row.due_at is None) == row.state.final


@MANY
@given(histories())
def test_after_the_end_nothing_is_commanded_or_checked_but_settled(steps: list[Step]) -> None:
    played = play(steps)
    for before, effects in zip(played.rows, played.effects, strict=False):
        kinds = {e.record.kind for e in effects if isinstance(e.record, OutboundCommand)}
        if before.state.final:
            assert kinds <= {CommandKind.SETTLE}
            assert {type(e.record).__name__ for e in effects} <= {
                "NotificationOutcome",
                "OutboundCommand",
                "ConsentChange",
            }


@MANY
@given(histories())
def test_no_command_is_written_twice_and_no_attempt_is_sent_twice(steps: list[Step]) -> None:
    commands = [
        e.record for effects in play(steps).effects for e in effects if isinstance(e.record, OutboundCommand)
    ]
    ids = [command.command_id for command in commands]
    assert len(ids) == len(set(ids))
    sends = [command for command in commands if command.kind is CommandKind.SEND]
    assert all(send.command_id == command_id(NID, send.attempt) for send in sends)


@MANY
@given(histories())
def test_another_attempt_is_sent_only_after_the_one_before_ended_badly_for_certain(steps: list[Step]) -> None:
    played = play(steps)
    for row, effects in zip(played.rows[1:], played.effects, strict=True):
        for send in (e.record for e in effects if isinstance(e.record, OutboundCommand)):
            if send.kind is not CommandKind.SEND or send.attempt == 1:
                continue
            earlier = row.attempts[: send.attempt - 1]
            assert all(a.phase == "ended" for a in earlier)
            assert all(fold(a.marks).bad or a.result in ("absent", "rejected") for a in earlier)
            assert not any(a.result == "held" for a in earlier)


@MANY
@given(histories())
def test_a_message_that_reached_the_person_is_the_notifications_end(steps: list[Step]) -> None:
    for row in play(steps).rows:
        folded = [fold(attempt.marks) for attempt in row.attempts]
        if any(each.status == "read" for each in folded):
            assert row.state is NotificationState.READ
        elif any(each.good for each in folded):
            assert row.state in REACHED


@MANY
@given(histories())
def test_each_version_is_written_once_in_order_and_the_last_is_the_rows(steps: list[Step]) -> None:
    played = play(steps)
    outcomes = [
        e.record
        for effects in played.effects
        for e in effects
        if isinstance(e.record, NotificationOutcome) and not is_conflict(e)
    ]
    assert [outcome.version for outcome in outcomes] == list(range(1, len(outcomes) + 1))
    assert (played.end.version, played.end.state) == (outcomes[-1].version, outcomes[-1].state)
    views = [msgspec.structs.replace(outcome, version=0, updated_at=0) for outcome in outcomes]
    assert all(one != other for one, other in pairwise(views))


@MANY
@given(histories())
def test_every_conflict_is_refused_under_its_own_id(steps: list[Step]) -> None:
    effects = [e for effects in play(steps).effects for e in effects if is_conflict(e)]
    assert {e.key for e in effects} == conflict_ids(steps)


@MANY
@given(histories())
def test_the_number_of_sends_is_bounded_whatever_happens(steps: list[Step]) -> None:
    row = play(steps).end
    assert row.request is not None
    patience = 5
    assert len(row.attempts) <= POLICY.max_attempts * patience * len(row.request.channels)


@MANY
@given(histories())
def test_a_doubt_about_a_message_that_exists_is_settled_exactly_once(steps: list[Step]) -> None:
    played = play(steps)
    settled = [
        e.record.attempt
        for effects in played.effects
        for e in effects
        if isinstance(e.record, OutboundCommand) and e.record.kind is CommandKind.SETTLE
    ]
    assert len(settled) == len(set(settled))
    doubted = {e.attempt for e in answers(steps) if e.result is CommandResult.IN_DOUBT}
    reported = {s.event.attempt for s in steps if isinstance(s.event, ProviderStatus)}
    told = {e.attempt for e in answers(steps) if e.result is CommandResult.ACCEPTED}
    assert (doubted & reported) - told - set(settled) == set()


def answers(steps: list[Step]) -> list[AttemptEvent]:
    return [step.event for step in steps if isinstance(step.event, AttemptEvent)]
