"""News that come when their attempt is over: believed, shown, and never a reason to write again."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import NotificationOutcome, OutboundCommand
from schemas.vocabulary import CommandResult, NotificationState
from tests.streams.builders import (
    POLICY,
    T0,
    TWO_CHANNELS,
    accepted,
    callback,
    checks,
    commanded,
    of,
    rejected,
    result,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState


# -- after it was given up ----------------------------------------------------------------------------------


def test_a_late_sent_after_unconfirmed_changes_nothing_as_nobody_waits_any_more() -> None:
    story = accepted()
    story.to_the_end()
    story.feed(callback("sent", at=400_000))
    assert (story.state, story.stands.reason) == (S.UNCONFIRMED, "no-report")
    assert story.row.due_at == T0 + 400_000 + POLICY.remember_ms


def test_a_late_delivered_after_unconfirmed_is_believed() -> None:
    story = accepted()
    story.to_the_end()
    story.feed(callback("delivered", at=400_000))
    assert (story.state, story.stands.reason) == (S.DELIVERED, None)


def test_a_late_undelivered_after_unconfirmed_is_believed_and_not_tried_again() -> None:
    story = accepted(**TWO_CHANNELS)
    story.to_the_end()
    effects = story.feed(undelivered(30008, at=400_000))
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "transient")
    assert [type(effect.record) for effect in effects] == [NotificationOutcome]
    assert len(story.row.attempts) == 1


def test_a_late_answer_after_nobody_answered_is_believed_and_not_tried_again() -> None:
    story = commanded(**TWO_CHANNELS)
    story.to_the_end()
    assert story.stands.reason == "no-answer"
    effects = story.feed(rejected(21617, at=500_000))
    assert (story.state, story.stands.reason) == (S.FAILED, "terminal")
    assert checks(effects) == []


@pytest.mark.parametrize("code", [30007, 21211, 99999])
def test_a_late_delivered_after_a_failure_is_believed(code: int) -> None:
    story = accepted()
    story.feed(undelivered(code))
    story.settle()
    given_up = story.state
    story.feed(callback("delivered", at=5_000))
    assert (given_up, story.state, story.stands.reason) == (S.UNDELIVERED, S.DELIVERED, None)


# -- a late good end ----------------------------------------------------------------------------------------


def test_a_late_delivered_cancels_the_retry_that_has_not_started() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    story.feed(callback("delivered", at=100))
    assert (story.state, len(story.row.attempts)) == (S.DELIVERED, 1)
    assert story.row.due_at == T0 + 100 + POLICY.remember_ms


def test_a_late_delivered_cancels_the_attempt_that_only_waits_for_admission() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    story.tick()
    story.feed(callback("delivered", at=2_000))
    assert story.feed(verdict(2)) == ()
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)


def test_a_late_delivered_cancels_the_next_channel() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(63003))
    story.settle()
    story.feed(callback("delivered", at=2_000))
    assert story.feed(verdict(2)) == ()
    assert story.state is S.DELIVERED


def test_a_good_end_that_was_overtaken_stops_what_follows_though_the_bad_one_stands() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(63003, at=20))
    story.settle()
    story.feed(callback("delivered", at=15))
    assert story.feed(verdict(2)) == ()
    assert (story.state, story.stands.reason, len(story.commands())) == (S.UNDELIVERED, "channel", 1)


@pytest.mark.parametrize(
    "event",
    [
        rejected(30007, 2),
        rejected(30003, 2),
        rejected(63003, 2),
        result(R.SUPPRESSED, 2),
        result(R.EXPIRED, 2),
        result(R.CANCELED, 2),
        result(R.ABSENT, 2),
        result(R.HELD, 2),
        undelivered(30003, 2, 3_000),
        callback("sent", 2, 3_000),
        result(R.ACCEPTED, 2, 3_000),
        result(R.IN_DOUBT, 2, 3_000),
    ],
    ids=lambda event: str(getattr(event, "result", getattr(event, "status", ""))),
)
def test_what_becomes_of_a_later_attempt_never_takes_a_delivery_back(event: Any) -> None:
    story = accepted()
    story.feed(undelivered(30003))
    assert story.next_attempt() == 2
    story.feed(callback("delivered", at=2_000))
    assert story.state is S.DELIVERED
    effects = story.feed(event)
    assert (story.state, story.stands.reason) == (S.DELIVERED, None)
    assert story.row.due_at == story.row.heard_at + POLICY.remember_ms
    assert of(OutboundCommand, effects) == []
    assert checks(effects) == []


# -- a good end that is taken back --------------------------------------------------------------------------


def test_a_bad_end_after_a_good_one_is_believed_when_it_is_later_and_starts_nothing() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(callback("delivered", at=20))
    effects = story.feed(undelivered(30003, at=30))
    assert (story.state, story.stands.reason) == (S.UNDELIVERED, "transient")
    assert of(OutboundCommand, effects) == []
    assert checks(effects) == []
    assert story.row.due_at == T0 + 30 + POLICY.remember_ms


def test_a_later_attempt_that_is_under_way_does_not_hide_that_a_delivery_was_taken_back() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.next_attempt()
    story.feed(result(R.ACCEPTED, 2, 2_000), callback("delivered", at=15))
    assert (story.state, story.outcomes()[-1].final) == (S.UNDELIVERED, True)


def test_a_later_attempt_that_arrives_makes_up_for_a_delivery_that_was_taken_back() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.next_attempt()
    story.feed(callback("delivered", at=15), callback("delivered", 2, 3_000))
    assert story.state is S.DELIVERED


def test_nothing_takes_back_that_it_was_read() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20), undelivered(30003, at=30), callback("read", at=40))
    assert story.state is S.READ


@pytest.mark.parametrize("good", ["delivered", "read"])
@pytest.mark.parametrize("bad", ["undelivered", "failed", "canceled"])
@pytest.mark.parametrize("bad_at", [15, 20, 30])
def test_a_good_mark_ever_heard_stops_all_further_steps(good: str, bad: str, bad_at: int) -> None:
    for order in (0, 1):
        story = accepted(**TWO_CHANNELS)
        pair = [callback(good, at=20), callback(bad, at=bad_at, error_code=30003)]
        story.feed(*(pair if order else reversed(pair)))
        assert (len(story.row.attempts), len(story.commands())) == (1, 1)
        assert story.row.due_at == story.row.heard_at + POLICY.remember_ms
        assert story.tick() == ()
