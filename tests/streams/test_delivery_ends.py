"""Bad ends: when they are judged, what each class of error allows, and how long a retry waits."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import pytest

from schemas.vocabulary import CommandResult, ErrorClass, NotificationState
from tests.streams.builders import (
    POLICY,
    T0,
    TWO_CHANNELS,
    Story,
    accepted,
    callback,
    checks,
    commanded,
    policy,
    rejected,
    result,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState


# -- settling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [30003, 30007, 63003, 21610, 20429, 99999])
def test_a_bad_end_starts_nothing_before_its_news_have_settled(code: int) -> None:
    story = accepted(**TWO_CHANNELS)
    effects = story.feed(undelivered(code))
    assert checks(effects) == []
    assert (story.row.due_at, len(story.row.attempts)) == (T0 + 20 + POLICY.settle_ms, 1)
    assert story.row.closed is None


def test_a_bad_end_is_shown_on_its_attempt_at_once() -> None:
    story = accepted()
    story.feed(undelivered(30007))
    (attempt,) = story.outcomes()[-1].attempts
    assert (attempt.status, attempt.error_code, attempt.ended_at) == ("undelivered", 30007, T0 + 20)
    assert not story.outcomes()[-1].final


def test_a_delivery_that_was_overtaken_by_a_bad_end_is_judged_together_with_it() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(30003), callback("delivered", at=21))
    assert (story.state, story.row.due_at) == (S.DELIVERED, T0 + 21 + POLICY.remember_ms)


def test_of_two_bad_ends_that_cross_each_other_the_first_is_judged_whichever_is_heard_first() -> None:
    for order in permutations([undelivered(63003, at=20), callback("failed", error_code=30007, at=25)]):
        story = accepted()
        story.feed(*order)
        story.settle()
        assert (story.state, story.stands.reason) == (S.UNDELIVERED, "channel")


def test_a_tick_of_another_deadline_does_not_judge_an_end_before_its_time() -> None:
    story = accepted()
    story.tick()
    heard_at = story.clock + 5
    story.feed(undelivered(30007, at=heard_at))
    assert story.row.due_at == T0 + heard_at + POLICY.settle_ms
    assert story.row.closed is None


def test_an_end_that_was_reported_late_is_judged_without_waiting_once_more() -> None:
    story = accepted()
    story.tick()
    story.feed(undelivered(30007, at=20))
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "filtered")


def test_a_bad_end_that_came_before_the_answer_is_judged_once() -> None:
    story = commanded()
    story.feed(undelivered(30003))
    story.settle()
    due = story.row.due_at
    story.feed(result(R.ACCEPTED), callback("sent", at=25))
    assert (story.row.due_at, len(story.row.attempts)) == (due, 1)


# -- every class of error -----------------------------------------------------------------------------------


class Allows(NamedTuple):
    """`tries` is how often a step is sent when each ends so, `moves_on` whether the next channel is tried."""

    code: int
    tries: int
    moves_on: bool
    reason: str
    state: NotificationState = S.FAILED


ALLOWED = {
    ErrorClass.TRANSIENT: Allows(30003, POLICY.max_attempts, True, "transient"),
    ErrorClass.RATE: Allows(20429, POLICY.max_attempts * 5, True, "rate"),
    ErrorClass.TERMINAL: Allows(21617, 1, True, "terminal"),
    ErrorClass.BAD_NUMBER: Allows(21211, 1, True, "bad_number"),
    ErrorClass.CHANNEL: Allows(63003, 1, True, "channel"),
    ErrorClass.OPT_OUT: Allows(21610, 1, True, "opted-out", S.SUPPRESSED),
    ErrorClass.FILTERED: Allows(30007, 1, False, "filtered"),
    ErrorClass.CONFIGURATION: Allows(30034, 1, False, "configuration"),
    ErrorClass.AMBIGUOUS: Allows(30410, 1, False, "ambiguous"),
}


def fail_always(story: Story, code: int) -> None:
    """Reject every attempt until the notification has ended."""
    number = 1
    while True:
        story.feed(rejected(code, number, story.clock))
        while len(story.row.attempts) == number and not story.state.final:
            story.tick()
        if story.state.final:
            return
        number += 1
        story.feed(verdict(number, at=story.clock))


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_a_class_of_error_is_tried_again_as_often_as_it_makes_sense(error_class: ErrorClass) -> None:
    allowed = ALLOWED[error_class]
    story = commanded()
    fail_always(story, allowed.code)
    assert (len(story.commands()), story.state, story.stands.reason) == (
        allowed.tries,
        allowed.state,
        allowed.reason,
    )
    (last, *_) = reversed(story.outcomes()[-1].attempts)
    assert (last.status, last.error_code, last.error_class) == ("rejected", allowed.code, error_class)


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_a_class_of_error_moves_on_to_the_next_channel_or_ends_it(error_class: ErrorClass) -> None:
    allowed = ALLOWED[error_class]
    story = commanded(**TWO_CHANNELS)
    fail_always(story, allowed.code)
    channels = [command.channel.value for command in story.commands()]
    assert channels == ["whatsapp"] * allowed.tries + ["sms"] * (allowed.tries if allowed.moves_on else 0)


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_a_message_that_the_carrier_gave_back_ends_as_undelivered_unless_its_owner_opted_out(
    error_class: ErrorClass,
) -> None:
    allowed = ALLOWED[error_class]
    story = accepted(policy(max_attempts=1))
    for number in range(1, 6):
        story.feed(undelivered(allowed.code, number, story.clock))
        story.tick()
        if story.state.final:
            break
        assert story.next_attempt() == number + 1
    assert story.state is (S.SUPPRESSED if error_class is ErrorClass.OPT_OUT else S.UNDELIVERED)
    assert story.stands.reason == allowed.reason


def test_an_unknown_error_of_the_carrier_is_tried_just_once_more() -> None:
    story = commanded(policy(max_attempts=9))
    fail_always(story, 30008)
    assert len(story.commands()) == 2


def test_a_bad_end_without_a_code_is_terminal() -> None:
    story = accepted()
    story.feed(undelivered(None))
    story.settle()
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "terminal")
    assert story.outcomes()[-1].attempts[0].error_class is ErrorClass.TERMINAL


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_failed_and_undelivered_are_told_apart(status: str) -> None:
    story = accepted()
    story.feed(callback(status, error_code=30007))
    story.settle()
    assert story.state is S.FAILED
    assert story.outcomes()[-1].attempts[0].status == status


def test_the_providers_words_about_a_rejection_are_in_the_outcome() -> None:
    story = commanded()
    story.feed(result(R.REJECTED, error_code=21211, detail="not a number"))
    story.settle()
    assert story.stands.detail == "not a number"


@pytest.mark.parametrize(
    ("answer", "state", "reason", "status"),
    [
        (R.SUPPRESSED, S.SUPPRESSED, "opted-out", "suppressed"),
        (R.EXPIRED, S.EXPIRED, "waited-too-long", "expired"),
        (R.CANCELED, S.FAILED, "canceled", "canceled"),
    ],
)
def test_a_command_that_was_never_started_ends_it(
    answer: CommandResult, state: NotificationState, reason: str, status: str
) -> None:
    story = commanded()
    story.feed(result(answer))
    story.settle()
    assert (story.state, story.stands.reason, len(story.commands())) == (state, reason, 1)
    assert story.outcomes()[-1].attempts[0].status == status


@pytest.mark.parametrize("answer", [R.EXPIRED, R.CANCELED])
def test_what_is_too_late_or_unwanted_on_one_channel_is_so_on_each(answer: CommandResult) -> None:
    story = commanded(**TWO_CHANNELS)
    story.feed(result(answer))
    story.settle()
    assert (story.state.final, len(story.row.attempts)) == (True, 1)


@pytest.mark.parametrize("code", [None, 7, 21211])
def test_the_sinks_word_on_a_refusal_counts_whatever_the_code_is_elsewhere(code: int | None) -> None:
    """Another provider's codes are known to its adapter only."""
    story = commanded(**TWO_CHANNELS)
    story.feed(result(R.REJECTED, error_code=code, error_class=ErrorClass.CONFIGURATION))
    story.settle()
    assert (story.state, story.stands.reason, len(story.row.attempts)) == (S.FAILED, "configuration", 1)
