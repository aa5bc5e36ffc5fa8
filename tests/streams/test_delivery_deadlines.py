"""The deadline of a step: the next one starts without waiting for the end of the one before."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import OutboundCommand, Step
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandKind, CommandResult, NotificationState, Verdict
from tests.streams.builders import (
    NID,
    POLICY,
    T0,
    Story,
    accepted,
    callback,
    chain,
    checks,
    commanded,
    of,
    requested,
    result,
    suppress,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState
SMS, WHATSAPP = Channel.SMS, Channel.WHATSAPP
WAIT_MS = 3_000
CHAIN: dict[str, Any] = chain(
    Step(channel=WHATSAPP, body="hello", wait_ms=WAIT_MS), Step(channel=SMS, body="hello", wait_ms=WAIT_MS)
)


def superseded(**changes: Any) -> Story:
    """The first step was accepted and never ended in time; the second one is commanded."""
    story = accepted(**(CHAIN | changes))
    assert story.next_attempt() == 2
    return story


def test_a_step_without_an_end_at_its_deadline_gives_way_to_the_next() -> None:
    story = accepted(**CHAIN)
    assert story.row.due_at == T0 + 10 + WAIT_MS
    (check,) = checks(story.tick())
    assert (check.attempt, check.channel, check.asked_at) == (2, SMS, T0 + 10 + WAIT_MS)
    assert story.attempt(1).superseded_at == T0 + 10 + WAIT_MS


def test_the_deadline_of_a_step_counts_from_the_command_while_nobody_answers() -> None:
    story = commanded(**CHAIN)
    assert story.row.due_at == T0 + WAIT_MS
    (check,) = checks(story.tick())
    assert check.channel is SMS


def test_progress_does_not_move_the_deadline_of_a_step() -> None:
    story = accepted(**CHAIN)
    story.feed(callback("sending", at=100), callback("sent", at=2_000))
    assert story.row.due_at == T0 + 10 + WAIT_MS


def test_waiting_for_admission_is_not_counted() -> None:
    story = requested(**CHAIN)
    story.feed(verdict(1, Verdict.DEFER, "quiet-hours", until=T0 + 10 * WAIT_MS))
    story.tick()
    assert len(story.row.attempts) == 1
    story.feed(verdict(check=2, at=10 * WAIT_MS))
    assert story.row.due_at == T0 + 11 * WAIT_MS


def test_a_bad_end_before_the_deadline_is_judged_as_without_one() -> None:
    story = accepted(**CHAIN)
    story.feed(undelivered(30007, at=50))
    story.settle()
    assert (story.state, len(story.row.attempts)) == (S.UNDELIVERED, 1)


def test_a_deadline_that_comes_while_an_end_still_settles_waits_for_it() -> None:
    story = accepted(**CHAIN)
    heard_at = 10 + WAIT_MS - 1
    story.feed(undelivered(30007, at=heard_at))
    assert story.row.due_at == T0 + heard_at + POLICY.settle_ms
    story.settle()
    assert (story.state, len(story.row.attempts)) == (S.UNDELIVERED, 1)


def test_the_last_step_has_nothing_to_give_way_to() -> None:
    story = superseded()
    story.feed(result(R.ACCEPTED, 2, story.clock))
    story.to_the_end()
    assert (story.state, len(story.row.attempts)) == (S.UNCONFIRMED, 2)


def test_a_delivery_before_the_deadline_leaves_the_next_step_unsent() -> None:
    story = accepted(**CHAIN)
    story.feed(callback("delivered", at=50))
    story.tick()
    assert len(story.commands()) == 1


def test_a_held_command_gives_way_at_the_deadline_of_its_step() -> None:
    story = commanded(**CHAIN)
    story.feed(result(R.IN_DOUBT), result(R.HELD))
    assert not story.state.final
    (check,) = checks(story.tick())
    assert check.channel is SMS


def test_a_superseded_attempt_that_fails_starts_nothing_and_changes_nothing_of_the_next() -> None:
    story = superseded()
    due = story.row.due_at
    effects = story.feed(undelivered(30003, 1, story.clock))
    assert of(OutboundCommand, effects) == []
    assert checks(effects) == []
    assert (story.state, story.row.due_at) == (S.SENDING, due)
    assert story.outcomes()[-1].attempts[0].status == "undelivered"


def test_a_superseded_attempt_that_arrives_is_the_notifications_end() -> None:
    story = superseded()
    story.feed(result(R.ACCEPTED, 2, story.clock), callback("delivered", 1, story.clock))
    assert story.state is S.DELIVERED
    assert story.row.due_at == story.row.heard_at + POLICY.remember_ms


def test_a_superseded_attempt_that_arrives_before_the_next_is_admitted_leaves_it_unsent() -> None:
    story = accepted(**CHAIN)
    story.tick()
    story.feed(callback("delivered", 1, story.clock))
    assert story.feed(verdict(2, at=story.clock)) == ()
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)
    assert story.commands(CommandKind.CANCEL) == []


def test_a_superseded_attempt_that_arrives_after_all_steps_failed_is_believed() -> None:
    story = superseded()
    story.feed(result(R.REJECTED, 2, story.clock, error_code=30007))
    story.settle()
    failed = story.state
    story.feed(callback("delivered", 1, story.clock))
    assert (failed, story.state) == (S.FAILED, S.DELIVERED)


# -- canceling what is needless now -------------------------------------------------------------------------


def test_a_command_that_nobody_has_answered_is_canceled_when_the_person_is_reached() -> None:
    story = superseded()
    effects = story.feed(callback("delivered", 1, at=4_000))
    (cancel,) = of(OutboundCommand, effects)
    (topic,) = [effect.topic for effect in effects if effect.record is cancel]
    assert (cancel.kind, cancel.command_id, cancel.attempt) == (CommandKind.CANCEL, f"{NID}:2:cancel", 2)
    assert (cancel.body, cancel.segments, cancel.created_at) == (None, 0, T0 + 4_000)
    assert topic is Topic.COMMANDS_URGENT


def test_a_cancel_is_written_once_and_its_answer_leaves_the_delivery_as_it_is() -> None:
    story = superseded()
    story.feed(callback("delivered", 1, at=4_000), callback("read", 1, at=4_100))
    story.feed(result(R.CANCELED, 2, at=4_200))
    assert len(story.commands(CommandKind.CANCEL)) == 1
    assert story.state is S.READ
    assert story.outcomes()[-1].attempts[1].status == "canceled"


@pytest.mark.parametrize("answer", [R.ACCEPTED, R.REJECTED, R.ABSENT, R.SUPPRESSED, R.EXPIRED, R.HELD])
def test_a_command_that_was_answered_is_not_canceled(answer: CommandResult) -> None:
    story = superseded()
    story.feed(result(answer, 2, story.clock))
    story.feed(callback("delivered", 1, at=4_000))
    assert story.commands(CommandKind.CANCEL) == []


def test_a_command_that_is_in_doubt_is_canceled_as_it_may_not_have_been_started() -> None:
    story = superseded()
    story.feed(result(R.IN_DOUBT, 2, story.clock), callback("delivered", 1, at=4_000))
    assert len(story.commands(CommandKind.CANCEL)) == 1


def test_a_message_that_arrived_does_not_cancel_itself() -> None:
    story = commanded(**CHAIN)
    story.feed(callback("delivered", at=50))
    assert story.commands(CommandKind.CANCEL) == []


def test_a_command_that_gives_way_before_anybody_answered_it_is_canceled() -> None:
    story = commanded(**CHAIN)
    story.tick()
    (cancel,) = story.commands(CommandKind.CANCEL)
    assert cancel.attempt == 1


def test_a_command_that_gave_way_unanswered_is_not_sent_to_a_person_the_next_one_reached() -> None:
    story = commanded(**CHAIN)
    story.next_attempt()
    story.feed(callback("delivered", 2, story.clock))
    assert [cancel.attempt for cancel in story.commands(CommandKind.CANCEL)] == [1]


def test_suppressed_on_the_next_step_ends_it_though_the_first_is_still_under_way() -> None:
    story = accepted(**CHAIN)
    story.tick()
    story.feed(suppress(2))
    assert (story.state, story.stands.reason) == (S.SUPPRESSED, "opted-out")
    story.feed(callback("delivered", 1, story.clock))
    assert story.state is S.DELIVERED
