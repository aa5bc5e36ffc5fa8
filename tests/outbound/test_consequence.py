"""What follows from each answer: what is reported, and who slows down or waits, for how long and why."""

from __future__ import annotations

import pytest

from schemas.vocabulary import CommandResult, ErrorClass
from sinks.outbound.consequence import (
    UNNAMED_WAIT_S,
    Consequence,
    Halt,
    SlowDown,
    consequence,
    consequence_of_code,
)
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
from sinks.outbound.reports import report_of, result_of
from tests.outbound.examples import SENDER, command, entry

WANTED = command()
THE_SENDER, THE_PROVIDER = Scope(Reach.SENDER, SENDER), Scope(Reach.PROVIDER, "twilio")
CONFIGURATION, RATE = ErrorClass.CONFIGURATION, ErrorClass.RATE


def rejected(
    error_class: ErrorClass, concern: Concern = Concern.MESSAGE, lift: Lift = Lift.BY_HAND
) -> Rejected:
    return Rejected(12345, Verdict(error_class, concern, lift), "detail")


NO_BRAKES: list[SendAnswer] = [
    Accepted("SM1", "queued", None),
    NotSent("not begun in time"),
    NotSent("no connection", unreachable=True),
    Ambiguous("a time-out"),
    Ambiguous("HTTP 500", http_status=500),
    *(rejected(each) for each in ErrorClass),
    rejected(CONFIGURATION, Concern.DESTINATION),
]


@pytest.mark.parametrize("answer", NO_BRAKES, ids=str)
def test_an_answer_that_concerns_its_own_message_brakes_nobody(answer: SendAnswer) -> None:
    follows = consequence(WANTED, answer)
    assert (follows.slow_down, follows.halt) == (None, None)
    assert follows.result is result_of(answer)


def test_a_throttled_sender_slows_down_and_waits_as_long_as_it_is_told() -> None:
    follows = consequence(WANTED, NotSent("throttled", throttled=True, retry_after_s=7.0))
    assert follows == Consequence(CommandResult.REJECTED, RATE, 20429, slow_down=SlowDown(7.0))


@pytest.mark.parametrize("wait_s", [None, 0.0])
def test_a_throttled_sender_that_is_told_nothing_waits_a_little(wait_s: float | None) -> None:
    follows = consequence(WANTED, NotSent("throttled", throttled=True, retry_after_s=wait_s))
    assert follows.slow_down == SlowDown(UNNAMED_WAIT_S if wait_s is None else 0.0)


def test_a_refusal_for_the_senders_rate_slows_it_down() -> None:
    follows = consequence(WANTED, rejected(RATE, Concern.SENDER, Lift.SOON))
    assert follows == Consequence(CommandResult.REJECTED, RATE, 12345, slow_down=SlowDown(UNNAMED_WAIT_S))


def test_a_senders_daily_cap_stops_it_until_its_next_day() -> None:
    halt = consequence(WANTED, rejected(RATE, Concern.SENDER, Lift.NEXT_DAY)).halt
    assert halt == Halt(THE_SENDER, "twilio answers 12345 (rate)", Lift.NEXT_DAY)


def test_a_mistake_with_the_sender_stops_the_sender_until_somebody_mends_it() -> None:
    follows = consequence(WANTED, rejected(CONFIGURATION, Concern.SENDER))
    halt = Halt(THE_SENDER, "twilio answers 12345 (configuration)", Lift.BY_HAND)
    assert follows == Consequence(CommandResult.REJECTED, CONFIGURATION, 12345, halt=halt)


def test_a_mistake_with_the_account_stops_all_that_goes_by_it() -> None:
    halt = consequence(WANTED, rejected(CONFIGURATION, Concern.ACCOUNT)).halt
    assert halt == Halt(THE_PROVIDER, "twilio answers 12345 (configuration)", Lift.BY_HAND)


def test_what_mends_itself_stops_for_a_time() -> None:
    halt = consequence(WANTED, rejected(CONFIGURATION, Concern.SENDER, Lift.LATER)).halt
    assert halt is not None
    assert halt.for_s == 3600


def test_a_provider_that_asks_to_wait_during_an_outage_is_left_alone_so_long() -> None:
    follows = consequence(WANTED, Ambiguous("HTTP 503", http_status=503, retry_after_s=30.0))
    assert follows.result is CommandResult.IN_DOUBT
    assert follows.halt == Halt(THE_PROVIDER, "twilio asks to wait", Lift.SOON, 30.0)


def test_a_code_that_comes_later_brakes_like_a_refusal_and_does_not_unsend_the_message() -> None:
    verdict = Verdict(CONFIGURATION, Concern.SENDER)
    later = consequence_of_code(WANTED, 30034, verdict)
    assert later.result is CommandResult.ACCEPTED
    assert later.halt == consequence(WANTED, Rejected(30034, verdict, "")).halt


@pytest.mark.parametrize(
    "answer", [*NO_BRAKES, NotSent("throttled", throttled=True), rejected(RATE, Concern.SENDER)], ids=str
)
def test_what_is_reported_is_what_follows(answer: SendAnswer) -> None:
    follows, reported = consequence(WANTED, answer), report_of(entry(), answer, 5, 1_000)
    assert (reported.result, reported.error_class, reported.error_code) == (
        follows.result,
        follows.error_class,
        follows.error_code,
    )


def test_no_reason_names_a_person_or_a_number() -> None:
    for concern in Concern:
        halt = consequence(WANTED, rejected(CONFIGURATION, concern)).halt
        assert halt is None or not any(number in halt.reason for number in (SENDER, WANTED.recipient))
