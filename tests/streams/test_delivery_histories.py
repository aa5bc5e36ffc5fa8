"""What holds in every history of a notification: in every order, doubled, crashed and replayed.

What happens between two deadlines may come in any order: the same row, the same effects by id. The one thing
whose order counts is that a person turns out to be reached: nothing is sent from then on, so the send of the
attempt that reached (whose callback came before its admission, when it did) and all that concerns later
attempts are left out of the comparison.
Across a deadline the order counts as well (it is the deadline that decides with what is known then); there
the last tests hold.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import command_id, event_id
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    DeliveryEvidence,
    NotificationOutcome,
    NotificationRequest,
    OutboundCommand,
    ProviderStatus,
    TimerTick,
)
from schemas.vocabulary import CommandKind, CommandResult, NotificationState, Verdict
from streams.delivery.attempt import AttemptState
from streams.delivery.row import NotificationRow
from streams.delivery.view import standing
from streams.effects import Emit
from tests.streams.builders import NID, POLICY, outcome_of
from tests.streams.histories import (
    CODES,
    History,
    Told,
    conflict_ids,
    histories,
    identified,
    is_conflict,
    play,
)

MANY = settings(max_examples=200)
# Drawn as a seed: what is random in an order need not be made smaller when a test fails.
chances = st.integers(0, 2**32 - 1).map(random.Random)
NUMBERS = range(1, 60)
OF_CHANGE = {event_id("provider", command_id(NID, number)): number for number in NUMBERS}
OF_EVIDENCE = {
    event_id("number", command_id(NID, number), str(code)): number for number in NUMBERS for code in CODES
}
REACHED = (NotificationState.DELIVERED, NotificationState.READ)


def is_open(attempt: AttemptState) -> bool:
    """Under way: it may still reach the person, and the notification waits for it."""
    return attempt.bad_end is None and attempt.superseded_at is None and not attempt.has_good_mark


def shuffled(history: History, chance: random.Random) -> History:
    """Between two deadlines any order, of requests their own."""
    epochs: list[History] = [[]]
    for told in history:
        if isinstance(told.event, TimerTick):
            epochs += [[told], []]
        else:
            epochs[-1].append(told)
    found: History = []
    for epoch in epochs:
        order = list(epoch)
        chance.shuffle(order)
        requests = iter([told for told in epoch if isinstance(told.event, NotificationRequest)])
        found += [next(requests) if isinstance(told.event, NotificationRequest) else told for told in order]
    return found


def doubled(history: History, chance: random.Random) -> History:
    """Copies of some events at any later place."""
    found = list(history)
    for _ in range(chance.randint(0, 6)):
        first = chance.randrange(len(found))
        found.insert(chance.randint(first + 1, len(found)), found[first])
    return found


def attempt_of(effect: Emit) -> int:
    """The attempt an effect is about, or 0."""
    record = effect.record
    if isinstance(record, OutboundCommand | AdmissionCheck):
        return record.attempt
    if isinstance(record, NotificationOutcome):
        return 0
    if isinstance(record, ConsentChange):
        return OF_CHANGE[record.change_id]
    assert isinstance(record, DeliveryEvidence)
    return OF_EVIDENCE[record.evidence_id]


def comparable(played: list[Emit], end: NotificationRow) -> dict[tuple[str, str], Emit]:
    """Effects by id, without what the order of a late success decides. Of an outcome neither its number nor
    its time: they tell how often and when it was published, not what it says."""
    reached = min((a.attempt for a in end.attempts if a.has_good_mark), default=len(end.attempts) + 1)
    return {
        identity: timeless(effect, reached - 1)
        for identity, effect in identified(played).items()
        if attempt_of(effect) < reached or (attempt_of(effect) == reached and not is_send(effect))
    }


def is_send(effect: Emit) -> bool:
    return isinstance(effect.record, OutboundCommand) and effect.record.kind is CommandKind.SEND


def timeless(effect: Emit, last: int) -> Emit:
    record = effect.record
    if isinstance(record, ConsentChange | DeliveryEvidence):  # of several news that tell the same, any one's
        return effect._replace(record=msgspec.structs.replace(record, at=0))
    if isinstance(record, OutboundCommand) and record.kind is CommandKind.HEED:
        return effect._replace(record=msgspec.structs.replace(record, created_at=0))
    if not isinstance(record, NotificationOutcome):
        return effect
    said = msgspec.structs.replace(record, version=0, updated_at=0, attempts=record.attempts[:last])
    return effect._replace(record=said)


def facts(row: NotificationRow) -> NotificationRow:
    """The row without what counts how often it was published."""
    return msgspec.structs.replace(row, version=0)


# -- any order ----------------------------------------------------------------------------------------------


@MANY
@given(histories(), chances)
def test_any_order_between_two_deadlines_ends_in_the_same_effects(
    history: History, chance: random.Random
) -> None:
    told = play(history)
    other = play(shuffled(history, chance))
    assert comparable(other.written, other.end) == comparable(told.written, told.end)


@MANY
@given(histories(), chances)
def test_any_order_between_two_deadlines_ends_in_the_same_row(
    history: History, chance: random.Random
) -> None:
    told, other = play(history).end, play(shuffled(history, chance)).end
    assert standing(other).state is standing(told).state
    if not told.is_reached:
        assert facts(other) == facts(told)


@MANY
@given(histories(), chances)
def test_any_order_with_copies_and_crashes_ends_in_the_same_row_and_effects(
    history: History, chance: random.Random
) -> None:
    told = play(history)
    order = doubled(shuffled(history, chance), chance)
    row: NotificationRow | None = None
    written: list[Emit] = []
    kept = 0
    for _ in range(chance.randint(0, 3)):
        further = chance.randint(kept, len(order))
        read = chance.randint(0, kept)
        part = play(order[read:further], row)
        row, kept = part.end, further
        written += part.written
    rest = play(order[kept:], row)
    assert comparable(written + rest.written, rest.end) == comparable(told.written, told.end)
    if not told.end.is_reached:
        assert facts(rest.end) == facts(told.end)


@MANY
@given(histories(), st.data())
def test_a_crash_anywhere_ends_in_the_same_row_and_the_same_effects(
    history: History, data: st.DataObject
) -> None:
    # Row and effects up to `kept` were committed together; the offsets only up to `read`.
    kept = data.draw(st.integers(0, len(history)), label="kept")
    read = data.draw(st.integers(0, kept), label="read")
    undisturbed = play(history)
    before = play(history[:kept])
    after = play(history[read:], before.end)
    assert after.end == undisturbed.end
    assert identified(before.written + after.written) == identified(undisturbed.written)


@MANY
@given(histories(), chances)
def test_copies_of_events_change_neither_the_row_nor_what_is_written(
    history: History, chance: random.Random
) -> None:
    undisturbed, played = play(history), play(doubled(history, chance))
    assert played.end == undisturbed.end
    assert comparable(played.written, played.end) == comparable(undisturbed.written, undisturbed.end)


# -- what always holds --------------------------------------------------------------------------------------


def anyhow(history: History, chance: random.Random) -> History:
    """Any order at all, deadlines included, with copies."""
    order = list(history)
    chance.shuffle(order)
    return doubled(order, chance)


ANY_ORDER = st.sampled_from([lambda history, chance: history, shuffled, anyhow])
orders = given(histories(), ANY_ORDER, chances)


@MANY
@orders
def test_at_most_one_attempt_is_under_way_and_it_is_the_last(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    for row in play(order(history, chance)).rows:
        open_ones = [attempt.attempt for attempt in row.attempts if is_open(attempt)]
        assert open_ones in ([], [len(row.attempts)])


@MANY
@orders
def test_every_row_has_a_deadline(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    for row in play(order(history, chance)).rows[1:]:
        assert row == NotificationRow() or row.due_at is not None


@MANY
@orders
def test_nothing_is_sent_without_an_admission_that_was_asked_for(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    played = play(order(history, chance))
    admitted = {
        told.event.attempt
        for told in history
        if isinstance(told.event, AdmissionVerdict) and told.event.verdict is Verdict.ADMIT
    }
    asked = {e.record.attempt for e in played.written if isinstance(e.record, AdmissionCheck)}
    assert {command.attempt for command in sends(played.written)} <= admitted & asked


@MANY
@orders
def test_no_attempt_is_sent_twice_and_all_copies_of_an_effect_say_the_same(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    written = play(order(history, chance)).written
    ids = [command.command_id for command in sends(written)]
    assert len(ids) == len(set(ids))
    assert all(send.command_id == command_id(NID, send.attempt) for send in sends(written))
    by_id = identified(written)
    for effect in written:
        if not isinstance(effect.record, NotificationOutcome):
            assert by_id[effect.topic, identity_of(effect)] == effect


@MANY
@orders
def test_once_a_person_was_reached_nothing_is_checked_or_sent(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    played = play(order(history, chance))
    for before, effects in zip(played.rows, played.effects, strict=False):
        if before.is_reached:
            kinds = {e.record.kind for e in effects if isinstance(e.record, OutboundCommand)}
            assert kinds <= {CommandKind.SETTLE, CommandKind.CANCEL, CommandKind.HEED}
            assert not any(isinstance(e.record, AdmissionCheck) for e in effects)


@MANY
@orders
def test_after_any_end_nothing_is_sent_but_what_a_released_command_allows(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    played = play(order(history, chance))
    for before, effects in zip(played.rows, played.effects, strict=False):
        if before.closed is not None and before.closed.reason != "held":
            kinds = {e.record.kind for e in effects if isinstance(e.record, OutboundCommand)}
            assert kinds <= {CommandKind.SETTLE, CommandKind.CANCEL, CommandKind.HEED}
            assert not any(isinstance(e.record, AdmissionCheck) for e in effects)


@MANY
@orders
def test_another_attempt_begins_only_after_the_one_before_ended_or_its_time_was_up(
    history, order, chance
) -> None:  # type: ignore[no-untyped-def]
    for row in play(order(history, chance)).rows:
        for attempt in row.attempts[:-1]:
            assert attempt.ended is not None or attempt.superseded_at is not None


@MANY
@orders
def test_a_person_that_was_reached_is_shown_as_reached(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    for row in play(order(history, chance)).rows:
        folded = [attempt.folded for attempt in row.attempts]
        if row.request is None:
            continue
        if any(each.status == "read" for each in folded):
            assert standing(row).state is NotificationState.READ
        elif any(each.good for each in folded):
            assert standing(row).state in REACHED


@MANY
@orders
def test_each_version_is_written_once_in_order_and_the_last_is_the_rows(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    played = play(order(history, chance))
    outcomes = [
        e.record for e in played.written if isinstance(e.record, NotificationOutcome) and not is_conflict(e)
    ]
    assert [outcome.version for outcome in outcomes] == list(range(1, len(outcomes) + 1))
    if outcomes:
        current = outcome_of(played.end)
        assert current is not None
        assert msgspec.structs.replace(outcomes[-1], updated_at=0) == msgspec.structs.replace(
            current, updated_at=0
        )


@MANY
@given(histories())
def test_every_conflict_is_refused_under_its_own_id(history: History) -> None:
    assert {e.key for e in play(history).written if is_conflict(e)} == conflict_ids(history)


@MANY
@orders
def test_the_number_of_attempts_is_bounded_whatever_happens(history, order, chance) -> None:  # type: ignore[no-untyped-def]
    patience = 5
    row = play(order(history, chance)).end
    # One more on a step whose template is tried after its text.
    assert len(row.attempts) <= (POLICY.max_attempts * patience + 1) * max(1, len(row.steps))


@MANY
@given(histories())
def test_a_doubt_about_a_message_that_reports_is_settled_exactly_once(history: History) -> None:
    settled = [
        e.record.attempt
        for e in play(history).written
        if isinstance(e.record, OutboundCommand) and e.record.kind is CommandKind.SETTLE
    ]
    assert len(settled) == len(set(settled))
    answers = [told.event for told in history if isinstance(told.event, AttemptEvent)]
    doubted = {event.attempt for event in answers if event.result is CommandResult.IN_DOUBT}
    reported = {told.event.attempt for told in history if isinstance(told.event, ProviderStatus)}
    assert doubted & reported == set(settled)


def sends(effects: list[Emit]) -> list[OutboundCommand]:
    commands = [e.record for e in effects if isinstance(e.record, OutboundCommand)]
    return [command for command in commands if command.kind is CommandKind.SEND]


def identity_of(effect: Emit) -> str:
    (found,) = identified([effect])
    return found[1]


def test_the_histories_contain_what_matters() -> None:
    """So that none of the above holds for want of cases."""
    from tests.streams.histories import draw

    seen: set[str] = set()
    for seed in range(400):
        history = draw(seed, seed % 41)
        end = play(history).end
        seen.add(standing(end).state.value)
        seen |= {f"attempts-{min(3, len(end.attempts))}"}
        seen |= {"superseded" for a in end.attempts if a.superseded_at is not None}
        seen |= {"template" for a in end.attempts if a.template_only}
        seen |= {"deferred" for a in end.attempts if a.check > 1}
        seen |= {"fetched" for a in end.attempts if a.fetches}
        seen |= {told_of(t) for t in history}
    wanted = {"delivered", "read", "undelivered", "failed", "unconfirmed", "suppressed", "expired", "sent"}
    wanted |= {"attempts-3", "superseded", "template", "deferred", "fetched", "held", "tick", "next_channel"}
    assert wanted <= seen, wanted - seen


def told_of(told: Told) -> str:
    event = told.event
    if isinstance(event, AttemptEvent):
        return event.result.value
    if isinstance(event, AdmissionVerdict):
        return event.verdict.value
    return "tick" if isinstance(event, TimerTick) else "other"
