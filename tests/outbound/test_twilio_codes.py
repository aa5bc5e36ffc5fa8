"""Of what each documented code tells beside its message (facts, Twilio section 5)."""

from __future__ import annotations

import pytest

from schemas.vocabulary import ErrorClass
from sinks.outbound.provider import Concern, Lift, Verdict
from sinks.outbound.twilio_codes import verdict, verdict_of_status
from streams.error_codes import classify
from tests.streams.test_error_codes import CODES

ACCOUNT, SENDER, DESTINATION = Concern.ACCOUNT, Concern.SENDER, Concern.DESTINATION

# Written down from the table there. All others tell of nothing but their message.
REACH = {
    20003: ACCOUNT, 20404: ACCOUNT, 21609: ACCOUNT, 30002: ACCOUNT, 30037: ACCOUNT, 63038: ACCOUNT,
    21212: SENDER, 21659: SENDER, 21660: SENDER, 21661: SENDER, 21701: SENDER, 21704: SENDER,
    30023: SENDER, 30032: SENDER, 30033: SENDER, 30034: SENDER, 30035: SENDER, 63001: SENDER, 63007: SENDER,
    20429: SENDER, 21611: SENDER, 30001: SENDER, 30022: SENDER, 63017: SENDER, 63018: SENDER,
    21606: DESTINATION, 21703: DESTINATION, 30018: DESTINATION, 30024: DESTINATION, 30040: DESTINATION,
}  # fmt: skip
ENDS_BY_ITSELF = {
    30035: Lift.LATER, 63038: Lift.LATER, 30023: Lift.NEXT_DAY,
    20429: Lift.SOON, 21611: Lift.SOON, 30001: Lift.SOON, 30022: Lift.SOON, 63017: Lift.SOON,
    63018: Lift.SOON,
}  # fmt: skip


@pytest.mark.parametrize(("code", "error_class"), CODES.items())
def test_a_documented_code_has_its_class_its_reach_and_its_end(code: int, error_class: ErrorClass) -> None:
    assert verdict(code) == Verdict(
        error_class, REACH.get(code, Concern.MESSAGE), ENDS_BY_ITSELF.get(code, Lift.BY_HAND)
    )


@pytest.mark.parametrize("code", [0, 12345, 30009, 30025, 30038, 30039, 99_999])
def test_a_code_nobody_knows_stops_nobody(code: int) -> None:
    assert verdict(code) == Verdict(ErrorClass.TERMINAL, Concern.MESSAGE)


def test_every_code_of_rate_holds_back_whoever_was_too_fast() -> None:
    rate = [code for code in CODES if classify(code) is ErrorClass.RATE]
    assert all(verdict(code).concern in (SENDER, ACCOUNT) for code in rate)


def test_only_what_is_ours_to_mend_or_a_matter_of_rate_reaches_beyond_its_message() -> None:
    beyond = {classify(code) for code in REACH}
    assert beyond == {ErrorClass.CONFIGURATION, ErrorClass.RATE}


@pytest.mark.parametrize("code", CODES)
def test_a_status_tells_the_same_but_nothing_of_a_service_for_one_number_of_it(code: int) -> None:
    means = verdict(code)
    assert verdict_of_status(code, by_service=False) == means
    of_one_number = means.concern is SENDER and means.error_class is ErrorClass.CONFIGURATION
    concern = DESTINATION if of_one_number else means.concern
    assert verdict_of_status(code, by_service=True) == means._replace(concern=concern)
