"""Retries: a new attempt of the same step, admitted anew, after a wait that doubles."""

from __future__ import annotations

from schemas.records import NotificationOutcome, TimerTick
from schemas.vocabulary import CommandResult, NotificationState
from tests.streams.builders import (
    NID,
    POLICY,
    T0,
    Story,
    accepted,
    callback,
    checks,
    commanded,
    policy,
    rejected,
    request,
    result,
    suppress,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState


def test_a_transient_end_is_tried_again_as_a_new_attempt() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    assert story.state is S.SENDING
    assert checks(story.tick())[0].attempt == 2
    first, second = story.outcomes()[-1].attempts
    assert (first.status, second.status) == ("undelivered", "pending")


def test_a_retry_asks_for_admission_again() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    (check,) = checks(story.tick())
    assert (check.attempt, check.check) == (2, 1)
    story.feed(suppress(2))
    assert (story.state, len(story.commands())) == (S.SUPPRESSED, 1)


def waits(rule: int) -> list[int]:
    """How long each of eight retries waits after its bad end."""
    story = commanded(policy(max_attempts=9, longest_retry_ms=rule))
    found = []
    for number in range(1, 9):
        heard_at = story.clock
        story.feed(rejected(30003, number, heard_at))
        story.settle()
        assert story.row.retry_at is not None
        found.append(story.row.retry_at - T0 - heard_at)
        story.next_attempt()
    return found


def test_the_wait_doubles_and_carries_up_to_a_fifth_of_jitter() -> None:
    found = waits(rule=3_600_000)
    doubled = [POLICY.retry_base_ms * 2**power for power in range(8)]
    assert all(base <= wait < base * 1.2 for base, wait in zip(doubled, found, strict=True)), found


def test_the_wait_stops_to_grow_at_the_longest_the_deployment_allows() -> None:
    found = waits(rule=4_000)
    assert all(4_000 <= wait < 4_800 for wait in found[2:]), found


def test_a_retry_never_comes_before_its_end_has_settled() -> None:
    story = commanded(policy(retry_base_ms=1))
    story.feed(rejected(30003))
    story.settle()
    assert story.clock >= 10 + POLICY.settle_ms
    assert len(story.row.attempts) == 2


def test_the_jitter_is_the_same_for_every_replay() -> None:
    stories = [accepted(), accepted()]
    for story in stories:
        story.feed(undelivered(30003))
        story.settle()
    assert stories[0].row == stories[1].row


def test_the_jitter_keeps_notifications_that_failed_together_apart() -> None:
    dues = set()
    for number in range(20):
        story = Story()
        story.feed(request(notification_id=f"n-{number}"), verdict(), rejected(30003))
        story.settle()
        dues.add(story.row.due_at)
    assert len(dues) > 10


def test_each_retry_tells_the_reader_once_that_it_has_begun() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    assert [type(effect.record) for effect in story.settle()] == []
    assert any(isinstance(effect.record, NotificationOutcome) for effect in story.tick())


def test_an_end_that_turns_out_otherwise_while_the_retry_waits_is_judged_anew() -> None:
    story = commanded()
    story.feed(result(R.ABSENT))
    story.settle()
    story.feed(undelivered(30007, at=100))
    story.settle()
    assert (story.state, story.stands.reason, len(story.row.attempts)) == (S.UNDELIVERED, "filtered", 1)


def test_a_copy_of_the_end_does_not_move_the_retry() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    retry_at = story.row.retry_at
    assert retry_at is not None
    story.feed(undelivered(30003), undelivered(30003, at=90), callback("sent", at=95))
    assert story.row.retry_at == story.row.due_at == retry_at


def test_a_retry_starts_at_its_own_time_however_late_the_tick_comes() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.settle()
    retry_at = story.row.retry_at
    assert retry_at is not None
    late = retry_at + 3_600_000
    (check,) = checks(
        story.feed(TimerTick(notification_id=NID, due_at=retry_at, fired_at=late), at=late - T0)
    )
    assert check.asked_at == retry_at
