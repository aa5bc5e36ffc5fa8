"""What only a series of answers shows: when a provider is down, and when a sender is heard by nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import ErrorClass
from sinks.outbound.pacing.pauses import Reach, Scope
from sinks.outbound.provider import (
    Accepted,
    Ambiguous,
    Concern,
    Lift,
    NotSent,
    Rejected,
    SendAnswer,
    Verdict,
)
from sinks.outbound.streaks import DOUBTS_IN_A_ROW, RECIPIENTS_IN_A_ROW, Streaks
from tests.outbound.examples import SENDER, command

YES = Accepted("SM1", "queued", None)
DOUBT = Ambiguous("a time-out")
AWAY = NotSent("no connection", unreachable=True)
NOT_THERE = Rejected(21606, Verdict(ErrorClass.CONFIGURATION, Concern.DESTINATION), "detail")
BAD_NUMBER = Rejected(21211, Verdict(ErrorClass.BAD_NUMBER), "detail")
THROTTLED = NotSent("throttled", throttled=True)
THE_PROVIDER = Scope(Reach.PROVIDER, "twilio")
ANYBODY = command()


def pauses_s(streaks: Streaks, *answers: SendAnswer, now: int = 0) -> list[float | None]:
    """For how long each answer pauses the provider; 0 for none."""
    found = [streaks.after(ANYBODY, answer, now) for answer in answers]
    assert all(halt is None or (halt.scope, halt.lift) == (THE_PROVIDER, Lift.SOON) for halt in found)
    return [0.0 if halt is None else halt.for_s for halt in found]


def test_a_provider_that_cannot_be_reached_is_left_alone_at_once() -> None:
    assert pauses_s(Streaks(), AWAY) == [1.0]


def test_some_calls_in_doubt_pause_nothing_and_many_in_a_row_do() -> None:
    streaks = Streaks()
    assert pauses_s(streaks, *[DOUBT] * DOUBTS_IN_A_ROW) == [0.0] * (DOUBTS_IN_A_ROW - 1) + [1.0]


@pytest.mark.parametrize("alive", [YES, BAD_NUMBER, THROTTLED])
def test_whatever_the_provider_itself_says_ends_the_row(alive: SendAnswer) -> None:
    row = [DOUBT] * (DOUBTS_IN_A_ROW - 1)
    assert set(pauses_s(Streaks(), *row, alive, *row)) == {0.0}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_door_that_is_shut_before_the_provider_is_not_tried_with_all_that_waits(status: int) -> None:
    assert pauses_s(Streaks(), Ambiguous("no code", http_status=status)) == [1.0]


def test_pauses_grow_while_nothing_gets_better_and_not_without_end() -> None:
    streaks, now, found = Streaks(), 0, []
    for _ in range(9):
        [for_s] = pauses_s(streaks, AWAY, now=now)
        found.append(for_s)
        now += 60_000
    assert found == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert pauses_s(streaks, YES, AWAY, now=now) == [0.0, 1.0]


def test_calls_that_were_under_way_when_the_pause_began_do_not_make_it_longer() -> None:
    streaks = Streaks()
    assert pauses_s(streaks, AWAY, *[AWAY] * 31) == [1.0] + [0.0] * 31
    assert pauses_s(streaks, AWAY, now=1_000) == [2.0]


def test_a_call_that_was_not_begun_in_time_says_nothing_of_the_provider() -> None:
    streaks = Streaks()
    assert pauses_s(streaks, *[NotSent("not begun in time")] * 50) == [0.0] * 50


def test_one_providers_trouble_is_no_others() -> None:
    streaks = Streaks()
    other = command(provider="other")
    for _ in range(DOUBTS_IN_A_ROW - 1):
        assert streaks.after(ANYBODY, DOUBT, 0) is None
    assert streaks.after(other, DOUBT, 0) is None


def refused(streaks: Streaks, recipient: str) -> bool:
    halt = streaks.after(command(recipient=recipient), NOT_THERE, 0)
    assert halt is None or (halt.scope, halt.lift) == (Scope(Reach.SENDER, SENDER), Lift.BY_HAND)
    return halt is not None


def test_one_recipient_that_a_sender_cannot_reach_does_not_stop_it_however_often() -> None:
    streaks = Streaks()
    assert not any(refused(streaks, "+442071838750") for _ in range(100))


def test_one_recipient_after_the_other_does() -> None:
    streaks = Streaks()
    numbers = [f"+4420718387{n:02}" for n in range(RECIPIENTS_IN_A_ROW)]
    assert [refused(streaks, each) for each in numbers] == [False, False, True]


def test_an_accepted_message_in_between_shows_that_it_is_not_the_sender() -> None:
    streaks = Streaks()
    for number in range(20):
        assert not refused(streaks, f"+4420718387{number:02}")
        assert streaks.after(ANYBODY, YES, 0) is None


@given(st.lists(st.sampled_from([YES, DOUBT, BAD_NUMBER, THROTTLED]), max_size=200))
def test_no_pause_without_a_whole_row_of_doubts_before_it(answers: list[SendAnswer]) -> None:
    streaks = Streaks()
    for at, answer in enumerate(answers):
        if streaks.after(ANYBODY, answer, at) is not None:
            assert answers[at + 1 - DOUBTS_IN_A_ROW : at + 1] == [DOUBT] * DOUBTS_IN_A_ROW
