"""What comes before the command: times to wait for, expiry, and each verdict of admission."""

from __future__ import annotations

import pytest

from schemas.vocabulary import NotificationState, Verdict
from tests.streams.builders import (
    POLICY,
    T0,
    TWO_CHANNELS,
    Story,
    checks,
    commanded,
    rejected,
    request,
    requested,
    suppress,
    verdict,
)

S = NotificationState


# -- send_at and expires_at ---------------------------------------------------------------------------------


def test_a_request_for_later_waits_for_its_time() -> None:
    story = Story()
    effects = story.feed(request(send_at=T0 + 500))
    assert (story.state, story.stands.reason, story.row.due_at) == (S.DEFERRED, "send-at", T0 + 500)
    assert checks(effects) == []
    (check,) = checks(story.tick())
    assert check.asked_at == T0 + 500
    assert (story.state, story.stands.reason) == (S.SENDING, None)


@pytest.mark.parametrize("send_at", [T0 - 1, T0, T0 + 1])
def test_a_request_for_a_time_that_has_passed_starts_at_once(send_at: int) -> None:
    story = requested(send_at=send_at)
    assert len(story.row.attempts) == 1


def test_a_request_for_a_time_a_year_ahead_waits_for_it() -> None:
    year_ms = 365 * 86_400_000
    story = Story()
    story.feed(request(send_at=T0 + year_ms))
    assert story.row.due_at == T0 + year_ms
    assert checks(story.tick())


def test_a_request_that_comes_too_late_expires_unsent() -> None:
    story = Story()
    story.feed(request(expires_at=T0 + 3), at=3)
    assert (story.state, story.stands.reason) == (S.EXPIRED, "expired")
    assert story.row.attempts == ()


def test_a_request_that_would_start_only_after_it_has_expired_expires() -> None:
    story = Story()
    story.feed(request(send_at=T0 + 500, expires_at=T0 + 500))
    story.tick()
    assert (story.state, story.row.attempts) == (S.EXPIRED, ())


def test_a_request_that_expires_before_its_verdict_is_not_commanded() -> None:
    story = requested(expires_at=T0 + 50)
    story.feed(verdict(at=50))
    assert (story.state, story.stands.reason, story.commands()) == (S.EXPIRED, "expired", [])


def test_a_request_that_expires_while_it_waits_for_a_retry_is_not_sent_again() -> None:
    story = commanded(expires_at=T0 + 900)
    story.feed(rejected(20429))
    story.to_the_end()
    assert (story.state, len(story.commands())) == (S.EXPIRED, 1)


# -- admit, and no answer -----------------------------------------------------------------------------------


def test_an_unanswered_check_is_asked_again_less_and_less_often_under_the_same_number() -> None:
    story = requested()
    asked_at = story.attempt().asked_at
    for asks in (1, 2, 3):
        assert story.row.due_at == asked_at + asks * POLICY.admission_again_ms
        (check,) = checks(story.tick())
        assert (check.attempt, check.check, check.asked_at) == (1, 1, asked_at)
    story.feed(verdict())
    assert len(story.commands()) == 1


def test_a_second_verdict_on_the_same_attempt_commands_nothing() -> None:
    story = commanded()
    assert story.feed(verdict()) == ()
    assert story.feed(suppress()) == ()
    assert story.state is S.SENDING


# -- defer --------------------------------------------------------------------------------------------------


def deferred(until: int = 700) -> Story:
    story = requested()
    story.feed(verdict(1, Verdict.DEFER, "quiet-hours", until=T0 + until))
    return story


def test_a_deferred_attempt_waits_for_the_time_of_the_verdict() -> None:
    story = deferred()
    assert (story.state, story.stands.reason, story.row.due_at) == (S.DEFERRED, "quiet-hours", T0 + 700)
    assert story.commands() == []
    assert not story.outcomes()[-1].final


def test_at_that_time_admission_is_asked_again_with_the_next_number() -> None:
    story = deferred()
    (check,) = checks(story.tick())
    assert (check.attempt, check.check, check.asked_at) == (1, 2, T0 + 700)
    assert (story.state, story.stands.reason) == (S.SENDING, None)
    story.feed(verdict(check=2, at=701))
    (command,) = story.commands()
    assert command.created_at == T0 + 701


def test_a_verdict_on_the_check_before_is_no_answer_to_the_next() -> None:
    story = deferred()
    story.tick()
    assert story.feed(verdict(check=1, at=701)) == ()
    assert story.commands() == []


def test_a_verdict_on_a_check_that_is_not_asked_yet_is_kept_for_it() -> None:
    story = deferred()
    assert story.feed(verdict(check=2, at=701)) == ()
    story.tick()
    assert len(story.commands()) == 1


def test_a_deferred_attempt_may_be_deferred_again_and_again() -> None:
    story = deferred()
    for check in range(2, 6):
        story.tick()
        story.feed(verdict(1, Verdict.DEFER, "frequency-cap", until=T0 + 700 * check, check=check))
        assert (story.state, story.row.due_at) == (S.DEFERRED, T0 + 700 * check)
    story.tick()
    story.feed(verdict(check=6, at=4_000))
    assert (len(story.commands()), len(story.row.attempts)) == (1, 1)


def test_a_deferred_check_that_nobody_answers_is_asked_again_as_patiently_as_a_first_one() -> None:
    story = requested()
    story.tick()
    story.feed(verdict(1, Verdict.DEFER, "quiet-hours", until=T0 + 700))
    story.tick()
    assert story.row.due_at == T0 + 700 + POLICY.admission_again_ms
    (check,) = checks(story.tick())
    assert (check.check, check.asked_at) == (2, T0 + 700)


@pytest.mark.parametrize("expires_at", [699, 700])
def test_what_may_be_sent_only_after_it_has_expired_expires_at_once(expires_at: int) -> None:
    story = requested(expires_at=T0 + expires_at)
    story.feed(verdict(1, Verdict.DEFER, "quiet-hours", until=T0 + 700))
    assert (story.state, story.stands.reason) == (S.EXPIRED, "quiet-hours")
    assert story.outcomes()[-1].final


def test_a_deferral_to_a_time_that_has_passed_asks_again_at_its_deadline_and_not_at_once() -> None:
    story = requested()
    assert checks(story.feed(verdict(1, Verdict.DEFER, "frequency-cap", until=T0))) == []
    (check,) = checks(story.tick())
    assert check.check == 2


# -- suppress and next channel ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["opted-out", "suppressed", "no-permitted-hours"])
def test_the_verdict_to_suppress_ends_it_at_once_and_without_a_command(reason: str) -> None:
    story = requested()
    story.feed(verdict(1, Verdict.SUPPRESS, reason))
    assert (story.state, story.stands.reason, story.commands()) == (S.SUPPRESSED, reason, [])
    (attempt,) = story.outcomes()[-1].attempts
    assert attempt.status == "suppressed"


def test_the_verdict_for_another_channel_ends_it_where_there_is_none() -> None:
    story = requested()
    story.feed(verdict(1, Verdict.NEXT_CHANNEL, "dead-number"))
    assert (story.state, story.stands.reason, story.commands()) == (S.SUPPRESSED, "dead-number", [])
    (attempt,) = story.outcomes()[-1].attempts
    assert attempt.status == "not_admitted"


def test_the_verdict_for_another_channel_moves_on_at_once() -> None:
    story = requested(**TWO_CHANNELS)
    (check,) = checks(story.feed(verdict(1, Verdict.NEXT_CHANNEL, "outside-whatsapp-window", at=3)))
    assert (check.attempt, check.channel.value, check.check, check.asked_at) == (2, "sms", 1, T0 + 3)
    assert (story.state, story.stands.reason) == (S.SENDING, None)
    first, second = story.outcomes()[-1].attempts
    assert (first.status, second.status) == ("not_admitted", "pending")


def test_a_channel_that_is_not_admitted_is_not_tried_again() -> None:
    story = requested(**TWO_CHANNELS)
    story.feed(
        verdict(1, Verdict.NEXT_CHANNEL, "dead-number"), verdict(2, Verdict.NEXT_CHANNEL, "dead-number")
    )
    assert (story.state, len(story.row.attempts)) == (S.SUPPRESSED, 2)


@pytest.mark.parametrize("ruling", list(Verdict))
def test_every_verdict_is_either_a_command_a_time_to_wait_for_or_an_end(ruling: Verdict) -> None:
    story = requested()
    story.feed(verdict(1, ruling, "some-reason", until=T0 + 700))
    assert (story.state, len(story.commands())) == {
        Verdict.ADMIT: (S.SENDING, 1),
        Verdict.DEFER: (S.DEFERRED, 0),
        Verdict.SUPPRESS: (S.SUPPRESSED, 0),
        Verdict.NEXT_CHANNEL: (S.SUPPRESSED, 0),
    }[ruling]
    assert story.row.due_at is not None
