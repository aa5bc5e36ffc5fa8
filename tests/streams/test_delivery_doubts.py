"""Commands whose fate is not known: never sent again without proof, whoever brings it, held in the end."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.identity import command_id
from schemas.records import AttemptEvent, OutboundCommand, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, CommandResult, NotificationState, Priority
from tests.streams.builders import (
    NID,
    POLICY,
    SENDER,
    T0,
    TWO_CHANNELS,
    accepted,
    callback,
    commanded,
    of,
    policy,
    result,
    sid,
    undelivered,
)

R, S = CommandResult, NotificationState


def test_a_callback_before_the_answer_is_an_acceptance() -> None:
    story = commanded()
    story.feed(callback("sent", at=5))
    assert (story.state, story.attempt().sid, story.attempt().accepted_at) == (S.SENT, sid(), T0 + 5)
    story.feed(result(R.ACCEPTED, at=9))
    assert story.state is S.SENT
    assert story.attempt().accepted_at == T0 + 5


def test_a_doubt_starts_nothing_and_waits() -> None:
    story = commanded()
    effects = story.feed(result(R.IN_DOUBT))
    assert of(OutboundCommand, effects) == []
    assert story.outcomes()[-1].attempts[0].status == "in_doubt"
    assert story.row.due_at == T0 + POLICY.command_ttl_ms + POLICY.unconfirmed_after_ms


def test_a_callback_settles_a_doubt_and_the_sink_is_told_once() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), callback("queued"), callback("sent"), callback("delivered", at=30))
    (settle,) = story.commands(CommandKind.SETTLE)
    assert (settle.command_id, settle.sid, settle.sender) == (f"{NID}:1:settle", sid(), SENDER)
    assert (settle.body, settle.segments) == (None, 0)
    assert story.state is S.DELIVERED


def test_a_doubt_that_a_callback_answered_before_is_settled_once() -> None:
    story = commanded()
    story.feed(callback("queued"), result(R.IN_DOUBT), result(R.IN_DOUBT), callback("sent"))
    assert len(story.commands(CommandKind.SETTLE)) == 1
    assert story.state is S.SENT


def test_a_doubt_that_the_sink_settled_itself_needs_no_settling() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ACCEPTED))
    assert story.commands(CommandKind.SETTLE) == []
    assert story.outcomes()[-1].attempts[0].status == "accepted"


@pytest.mark.parametrize("status", ["delivered", "undelivered"])
def test_a_doubt_is_settled_also_when_the_message_has_ended_before(status: str) -> None:
    story = commanded()
    story.feed(callback(status, error_code=30007 if status == "undelivered" else None))
    state = story.state
    story.feed(result(R.IN_DOUBT))
    assert len(story.commands(CommandKind.SETTLE)) == 1
    assert story.state is state


def test_a_settling_goes_before_everything_else_at_the_sink() -> None:
    story = commanded(priority=Priority.BULK)
    effects = story.feed(result(R.IN_DOUBT), callback("queued"))
    (topic,) = [effect.topic for effect in effects if isinstance(effect.record, OutboundCommand)]
    assert topic is Topic.COMMANDS_URGENT


def test_a_proof_of_absence_allows_another_attempt() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ABSENT))
    assert story.outcomes()[-1].attempts[0].status == "absent"
    assert story.next_attempt() == 2
    assert [command.command_id for command in story.commands()] == [command_id(NID, 1), command_id(NID, 2)]


def test_a_proof_of_absence_that_a_callback_contradicts_is_not_believed() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), callback("queued"), result(R.ABSENT))
    assert len(story.row.attempts) == 1
    assert story.outcomes()[-1].attempts[0].status == "accepted"
    story.to_the_end()
    assert (story.state, len(story.commands())) == (S.UNCONFIRMED, 1)


def test_a_proof_of_absence_that_a_callback_contradicts_before_it_was_judged_is_taken_back() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ABSENT), callback("sent"))
    assert (story.state, story.row.retry_at) == (S.SENT, None)
    assert story.outcomes()[-1].attempts[0].error_class is None
    story.feed(result(R.ABSENT), undelivered(30007, at=30))
    story.settle()
    assert (story.state, len(story.commands())) == (S.UNDELIVERED, 1)


def test_a_proof_of_absence_that_a_callback_contradicts_before_the_retry_is_taken_back() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ABSENT))
    story.settle()
    story.feed(callback("sent", at=100))
    story.to_the_end()
    assert (story.state, story.stands.reason, len(story.row.attempts)) == (S.UNCONFIRMED, "no-report", 1)


def test_news_of_an_attempt_thought_absent_does_not_disturb_the_one_after_it() -> None:
    story = commanded()
    story.feed(result(R.ABSENT))
    assert story.next_attempt() == 2
    due = story.row.due_at
    story.feed(callback("sent", at=2_000))
    assert (story.state, story.row.due_at) == (S.SENDING, due)


def test_absence_is_tried_more_patiently_than_failure_and_not_for_ever() -> None:
    story = commanded(policy(max_attempts=2))
    for number in range(1, 10):
        story.feed(result(R.ABSENT, number, story.clock))
        assert story.next_attempt() == number + 1
    story.feed(result(R.ABSENT, 10, story.clock))
    story.settle()
    assert (story.state, story.stands.reason, len(story.commands())) == (S.FAILED, "not-accepted", 10)


def test_a_held_command_is_shown_and_nothing_is_sent_again() -> None:
    story = commanded(**TWO_CHANNELS)
    story.feed(result(R.IN_DOUBT))
    effects = story.feed(result(R.HELD))
    assert (story.state, story.stands.reason) == (S.UNCONFIRMED, "held")
    assert of(OutboundCommand, effects) == []
    assert story.outcomes()[-1].attempts[0].status == "held"


def test_a_callback_for_a_held_command_settles_it_and_it_goes_on() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.HELD), callback("sent"))
    assert story.state is S.SENT
    assert story.row.due_at == T0 + 20 + POLICY.quiet_after_ms
    assert len(story.commands(CommandKind.SETTLE)) == 1


def test_a_held_command_that_is_proved_absent_after_all_is_tried_again() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.HELD), result(R.ABSENT, at=50))
    assert story.next_attempt() == 2


def test_a_held_command_that_failed_after_all_is_judged_by_its_code() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.HELD), undelivered(30007, at=50))
    story.settle()
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "filtered")


@pytest.mark.parametrize(
    "facts",
    [
        (result(R.IN_DOUBT), result(R.HELD, at=11), result(R.ABSENT, at=12)),
        (result(R.IN_DOUBT), result(R.HELD, at=11), callback("sent")),
        (result(R.IN_DOUBT), result(R.ABSENT, at=11), callback("queued"), callback("sent", at=25)),
        (result(R.IN_DOUBT), result(R.ACCEPTED), result(R.HELD, at=11), undelivered(30003)),
    ],
    ids=["held, absent", "held, sent", "absent, sent", "accepted, held, undelivered"],
)
def test_what_is_known_of_a_doubt_does_not_depend_on_who_spoke_first(
    facts: tuple[AttemptEvent | ProviderStatus, ...],
) -> None:
    stories = []
    for order in permutations(facts):
        story = commanded()
        story.feed(*order)
        stories.append((story.state, story.row.due_at, story.attempt(), len(story.commands())))
    assert all(each == stories[0] for each in stories)


def test_a_command_that_nobody_answers_ends_as_unconfirmed() -> None:
    story = commanded()
    story.tick()
    assert (story.state, story.stands.reason) == (S.UNCONFIRMED, "no-answer")
    assert len(story.commands()) == 1


def test_a_command_that_the_sink_only_started_is_waited_for_like_one_that_nobody_answers() -> None:
    story = commanded()
    due = story.row.due_at
    assert story.feed(result(R.STARTED)) == ()
    assert story.row.due_at == due


def test_a_status_of_another_message_under_the_same_attempt_changes_nothing() -> None:
    story = accepted()
    assert story.feed(callback("delivered", message_sid="SMother")) == ()
    assert story.state is S.SENDING


def test_the_message_first_heard_of_stands_when_the_answer_names_another() -> None:
    story = commanded()
    story.feed(callback("queued"), result(R.ACCEPTED, sid="SMother"))
    assert story.attempt().sid == sid()
