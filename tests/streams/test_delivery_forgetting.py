"""Deadlines as events, and the last of them: when a notification is forgotten."""

from __future__ import annotations

import pytest

from schemas.records import TimerTick
from schemas.vocabulary import CommandKind, CommandResult, NotificationState, Verdict
from streams.delivery import decide
from streams.delivery.row import NotificationRow
from tests.streams.builders import (
    NID,
    POLICY,
    T0,
    TWO_CHANNELS,
    Story,
    accepted,
    callback,
    commanded,
    rejected,
    request,
    requested,
    result,
    suppress,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState
NOTHING = NotificationRow()


def tick(due_at: int) -> TimerTick:
    return TimerTick(notification_id=NID, due_at=due_at, fired_at=due_at)


# -- ticks --------------------------------------------------------------------------------------------------


def test_a_tick_for_a_deadline_that_moved_is_ignored() -> None:
    story = requested()
    stale = story.row.due_at
    assert stale is not None
    story.feed(verdict())
    row = story.row
    assert story.feed(tick(stale)) == ()
    assert story.row is row


def test_a_tick_read_again_is_ignored() -> None:
    story = requested()
    due = story.row.due_at
    assert due is not None
    story.feed(tick(due))
    assert story.feed(tick(due)) == ()


def test_a_tick_for_a_notification_nobody_asked_for_makes_no_row() -> None:
    assert decide(None, tick(T0), T0, POLICY) == (None, ())


@pytest.mark.parametrize("behind_ms", [1, 500, 3_600_000])
def test_a_broker_whose_clock_is_behind_does_not_make_a_deadline_come_again_and_again(behind_ms: int) -> None:
    story = accepted()
    for _ in range(40):
        if story.state.final:
            break
        due = story.row.due_at
        assert due is not None
        story.feed(tick(due), at=due - T0 - behind_ms)
    assert story.state is S.UNCONFIRMED
    assert len(story.commands(CommandKind.FETCH)) < 8


def unfinished() -> dict[str, Story]:
    """A story at each place where a notification can wait."""
    stories = {"send_at": Story(), "admission": requested(), "command": commanded(), "accepted": accepted()}
    stories["send_at"].feed(request(send_at=T0 + 500))
    stories |= {"doubt": commanded(), "deferred": requested(), "settling": accepted(), "retry": accepted()}
    stories["doubt"].feed(result(R.IN_DOUBT))
    stories["deferred"].feed(verdict(1, Verdict.DEFER, "quiet-hours", until=T0 + 700))
    stories["settling"].feed(undelivered(30003))
    stories["retry"].feed(undelivered(30003))
    stories["retry"].settle()
    return stories


@pytest.mark.parametrize("place", unfinished())
def test_whatever_a_notification_waits_for_it_has_a_deadline_that_lies_ahead(place: str) -> None:
    story = unfinished()[place]
    assert not story.state.final
    assert story.row.due_at is not None
    assert story.row.due_at > story.row.clock
    before = story.row.due_at
    story.tick()
    assert story.row.due_at is not None
    assert story.row.due_at > before


# -- forgetting ---------------------------------------------------------------------------------------------


def ended() -> dict[str, Story]:
    """A story at each end."""
    stories = {name: accepted() for name in ("delivered", "read", "filtered", "unconfirmed", "taken back")}
    stories["delivered"].feed(callback("delivered"))
    stories["read"].feed(callback("read"))
    stories["filtered"].feed(undelivered(30007))
    stories["filtered"].settle()
    stories["unconfirmed"].to_the_end()
    stories["taken back"].feed(callback("delivered"), undelivered(30003, at=30))
    stories |= {"suppressed": requested(), "rejected": commanded(), "held": commanded(), "invalid": Story()}
    stories["suppressed"].feed(suppress())
    stories["rejected"].feed(rejected(21211))
    stories["rejected"].settle()
    stories["held"].feed(result(R.IN_DOUBT), result(R.HELD))
    stories["invalid"].feed(request(refusal="empty-body"))
    stories |= {"expired": Story()}
    stories["expired"].feed(request(expires_at=T0))
    return stories


@pytest.mark.parametrize("end", ended())
def test_a_notification_at_its_end_is_remembered_for_a_time_and_then_forgotten_without_a_word(
    end: str,
) -> None:
    story = ended()[end]
    assert story.state.final
    row = story.row
    assert row.due_at is not None
    since = max(row.heard_at, row.closed.at if row.closed is not None else 0)
    assert row.due_at == since + POLICY.remember_ms
    assert decide(row, tick(row.due_at), row.due_at, POLICY) == (None, ())


@pytest.mark.parametrize("end", ended())
def test_no_tick_before_its_time_makes_an_ended_notification_forgotten(end: str) -> None:
    story = ended()[end]
    assert story.row.due_at is not None
    assert story.feed(tick(story.row.due_at - 1)) == ()
    assert story.row != NOTHING


def test_late_news_make_an_ended_notification_remembered_for_longer() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20))
    first = story.row.due_at
    assert first is not None
    story.feed(callback("read", at=5_000))
    assert story.row.due_at == T0 + 5_000 + POLICY.remember_ms
    story.feed(tick(first))
    assert story.state is S.READ


def test_what_is_forgotten_may_be_asked_for_again() -> None:
    story = accepted()
    story.feed(callback("delivered"))
    story.tick()
    assert story.row == NOTHING
    story.feed(request(offset=1), at=story.clock)
    assert (story.state, story.row.duplicates, len(story.row.attempts)) == (S.SENDING, 0, 1)


def test_a_notification_that_is_still_under_way_is_never_forgotten() -> None:
    story = requested(**TWO_CHANNELS)
    for _ in range(100):
        story.tick()
    assert story.row.request is not None


# -- callbacks without a request ----------------------------------------------------------------------------


def test_callbacks_without_a_request_keep_a_row_that_tells_nothing() -> None:
    story = Story()
    assert story.feed(callback("sent"), callback("delivered", at=30)) == ()
    assert story.row.request is None
    assert story.row.version == 0


def test_callbacks_without_a_request_are_forgotten_after_the_last_of_them() -> None:
    story = Story()
    story.feed(callback("sent"), callback("delivered", at=30))
    assert story.row.due_at == T0 + 30 + POLICY.remember_ms
    assert story.tick() == ()
    assert story.row == NOTHING


def test_verdicts_and_answers_without_a_request_are_forgotten_as_well() -> None:
    for fact in (verdict(), result(R.ACCEPTED)):
        story = Story()
        assert story.feed(fact) == ()
        assert story.tick() == ()
        assert story.row == NOTHING
