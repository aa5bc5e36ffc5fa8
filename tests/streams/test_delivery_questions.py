"""Asking the provider about messages that went quiet, and giving up in the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from schemas.records import OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, NotificationState, Priority
from tests.streams.builders import (
    NID,
    POLICY,
    T0,
    accepted,
    callback,
    commanded,
    of,
    policy,
    sid,
    undelivered,
)

S = NotificationState
QUIET_MS = POLICY.quiet_after_ms
FIRST_AT = 10 + QUIET_MS
SECOND_AT = 10 + 3 * QUIET_MS


def test_the_provider_is_asked_about_a_quiet_message_less_and_less_often() -> None:
    story = accepted()
    asked = []
    while not story.state.final:
        fetches = of(OutboundCommand, story.tick())
        if fetches:
            asked.append(story.clock)
            assert fetches[0].kind is CommandKind.FETCH
            assert (fetches[0].sid, fetches[0].segments) == (sid(), 0)
    assert asked[0] == FIRST_AT
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[:3] == [2 * QUIET_MS, 4 * QUIET_MS, 8 * QUIET_MS]
    assert (story.state, story.stands.reason) == (S.UNCONFIRMED, "no-report")
    assert story.clock == 10 + POLICY.unconfirmed_after_ms


def test_the_provider_is_asked_once_more_in_time_before_a_message_is_given_up() -> None:
    story = accepted()
    last_at = 10 + POLICY.unconfirmed_after_ms - QUIET_MS
    asked = []
    while not story.state.final:
        fetches = of(OutboundCommand, story.tick())
        asked += [story.clock for _ in fetches]
    assert asked.count(last_at) == 1
    assert asked[-1] == last_at


def test_the_last_question_is_asked_however_fresh_the_news_are() -> None:
    story = accepted()
    last_at = 10 + POLICY.unconfirmed_after_ms - QUIET_MS
    while story.row.due_at != T0 + last_at:
        story.tick()
    story.feed(callback("sent", at=last_at - 1))
    assert len(of(OutboundCommand, story.tick())) == 1


def test_every_question_to_the_provider_has_an_id_of_its_own() -> None:
    story = accepted()
    story.to_the_end()
    ids = [command.command_id for command in story.commands(CommandKind.FETCH)]
    assert ids == [f"{NID}:1:fetch:{number}" for number in range(1, len(ids) + 1)]
    assert len(ids) >= 4


def test_every_question_but_the_last_is_worthless_when_the_message_has_been_given_up() -> None:
    story = accepted()
    story.to_the_end()
    given_up_at = T0 + 10 + POLICY.unconfirmed_after_ms
    *earlier, last = story.commands(CommandKind.FETCH)
    assert earlier[0].created_at == T0 + FIRST_AT
    assert {question.not_after for question in earlier} == {given_up_at}
    assert last.not_after == given_up_at + POLICY.remember_ms


def test_an_answer_to_the_last_question_counts_after_the_message_was_given_up() -> None:
    story = accepted()
    story.to_the_end()
    assert story.state is S.UNCONFIRMED
    (last,) = story.commands(CommandKind.FETCH)[-1:]
    story.feed(callback("delivered", at=last.not_after - T0 - 1, source="poll"))
    assert story.state is S.DELIVERED


@pytest.mark.parametrize("priority", list(Priority))
def test_a_question_to_the_provider_never_goes_before_a_send(priority: Priority) -> None:
    effects = accepted(priority=priority).tick()
    assert [e.topic for e in effects if isinstance(e.record, OutboundCommand)] == [Topic.COMMANDS_BULK]


def test_news_moves_no_deadline_so_that_they_cost_no_timer() -> None:
    story = accepted()
    due = story.row.due_at
    story.feed(callback("sending", at=50), callback("sent", at=5_000))
    assert story.row.due_at == due == T0 + FIRST_AT


def test_news_skips_the_one_question_that_it_answers() -> None:
    story = accepted()
    story.feed(callback("sent", at=5_000))
    assert story.tick() == ()
    assert story.row.due_at == T0 + SECOND_AT
    (fetch,) = of(OutboundCommand, story.tick())
    assert fetch.kind is CommandKind.FETCH


def test_news_of_long_ago_skips_no_question() -> None:
    story = accepted()
    story.tick()
    story.feed(callback("sent", at=FIRST_AT + 1))
    assert len(of(OutboundCommand, story.tick())) == 1


def test_the_schedule_counts_from_the_first_sign_of_acceptance() -> None:
    story = commanded()
    story.feed(callback("queued", at=500))
    assert story.row.due_at == T0 + 500 + QUIET_MS
    story.feed(callback("sending", at=300))
    assert story.row.due_at == T0 + 300 + QUIET_MS


def test_a_copy_of_a_callback_is_no_news() -> None:
    story = accepted()
    story.feed(callback("sent", at=20))
    row = story.row
    assert story.feed(callback("sent", at=20), at=5_000) == ()
    assert story.row == row


def test_what_the_provider_answers_goes_through_the_same_fold() -> None:
    story = accepted()
    story.tick()
    story.feed(callback("delivered", source="poll"))
    assert story.state is S.DELIVERED


def test_an_answer_that_it_failed_is_judged_like_a_callback() -> None:
    story = accepted()
    story.tick()
    story.feed(callback("undelivered", at=story.clock, error_code=30007, source="poll"))
    story.settle()
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "filtered")


def test_a_message_that_has_ended_is_not_asked_about() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.next_attempt()
    assert story.commands(CommandKind.FETCH) == []


def test_a_message_that_nobody_reports_on_is_given_up_even_between_two_questions() -> None:
    story = accepted(policy(unconfirmed_after_ms=QUIET_MS // 2))
    assert of(OutboundCommand, story.tick()) == []
    assert (story.state, story.clock) == (S.UNCONFIRMED, 10 + QUIET_MS // 2)


def test_sent_is_a_last_word_that_becomes_unconfirmed_at_its_deadline() -> None:
    story = accepted()
    story.feed(callback("sent"))
    story.to_the_end()
    assert (story.state, story.stands.reason) == (S.UNCONFIRMED, "no-report")
    (attempt,) = story.outcomes()[-1].attempts
    assert (attempt.status, attempt.sent_at) == ("unconfirmed", T0 + 20)
