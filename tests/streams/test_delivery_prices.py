"""What a message cost is asked for after its end, a few times, until it is known."""

from __future__ import annotations

import pytest

from schemas.records import OutboundCommand, TimerTick
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, NotificationState
from tests.streams.builders import NID, POLICY, T0, Story, accepted, callback, of, policy, sid, undelivered

AFTER_MS = 3_600_000
ASKING = policy(price_after_ms=AFTER_MS)
ENDED_AT = T0 + 20


def delivered() -> Story:
    story = accepted(ASKING)
    story.feed(callback("delivered"))
    return story


def asked(story: Story) -> list[OutboundCommand]:
    """To the row's end, when it is forgotten."""
    while story.row.due_at is not None and story.row.due_at < T0 + POLICY.remember_ms:
        story.tick()
    return story.commands(CommandKind.FETCH)


def test_a_price_is_asked_for_later_and_later_and_three_times_at_most() -> None:
    commands = asked(delivered())
    assert [each.created_at for each in commands] == [ENDED_AT + times * AFTER_MS for times in (1, 3, 7)]
    assert [each.command_id for each in commands] == [f"{NID}:1:price:{number}" for number in (1, 2, 3)]
    assert {each.sid for each in commands} == {sid()}


def test_a_question_about_a_price_can_be_answered_until_the_next_and_the_last_while_remembered() -> None:
    first, second, third = asked(delivered())
    assert (first.not_after, second.not_after) == (second.created_at, third.created_at)
    assert third.not_after == third.created_at + POLICY.remember_ms


def test_a_price_that_is_known_is_not_asked_for() -> None:
    story = delivered()
    (first,) = of(OutboundCommand, story.tick())
    assert first.kind is CommandKind.FETCH
    story.feed(callback("delivered", at=AFTER_MS + 100, source="poll", price="-0.00750", price_unit="USD"))
    assert asked(story) == [first]


def test_an_answer_without_a_price_leaves_it_open() -> None:
    story = delivered()
    story.tick()
    story.feed(callback("delivered", at=AFTER_MS + 100, source="poll"))
    assert len(asked(story)) == 3


def test_a_question_about_a_price_never_goes_before_a_send() -> None:
    effects = delivered().tick()
    assert [e.topic for e in effects if isinstance(e.record, OutboundCommand)] == [Topic.COMMANDS_BULK]


@pytest.mark.parametrize(("status", "questions"), [("undelivered", 3), ("failed", 0)])
def test_what_failed_before_it_was_sent_costs_nothing_and_is_not_asked_about(
    status: str, questions: int
) -> None:
    story = accepted(ASKING)
    story.feed(callback(status, error_code=30007))
    story.settle()
    assert story.state in (NotificationState.UNDELIVERED, NotificationState.FAILED)
    assert len(asked(story)) == questions


def test_every_message_of_a_notification_is_asked_about_once_it_has_ended() -> None:
    story = accepted(ASKING)
    story.feed(undelivered(30003))
    story.next_attempt()
    assert not [each for each in story.commands(CommandKind.FETCH) if ":price:" in each.command_id]
    story.feed(callback("delivered", attempt=2, at=50_000))
    prices = [each for each in asked(story) if ":price:" in each.command_id]
    assert {each.attempt for each in prices} == {1, 2}
    assert len(prices) == 6


def test_a_standstill_over_all_questions_leaves_one_that_can_still_be_answered() -> None:
    story = delivered()
    late = 48 * AFTER_MS
    story.feed(TimerTick(notification_id=NID, due_at=T0 + late, fired_at=T0 + late), at=late)
    (question,) = story.commands(CommandKind.FETCH)
    assert question.command_id == f"{NID}:1:price:3"
    assert question.not_after > T0 + late


def test_an_attempt_that_was_repeated_after_long_is_still_asked_about() -> None:
    story = accepted(ASKING)
    story.feed(undelivered(30003))
    story.next_attempt()
    late = 48 * AFTER_MS
    story.feed(callback("delivered", attempt=2, at=late))
    questions = [each for each in asked(story) if each.command_id.startswith(f"{NID}:1:price:")]
    assert questions[-1].not_after > T0 + late


def test_nobody_is_asked_for_a_price_by_default() -> None:
    story = accepted()
    story.feed(callback("delivered"))
    assert asked(story) == []
    assert story.row.due_at == ENDED_AT + POLICY.remember_ms
