"""What each documented error code means for the next step (facts, Twilio section 5)."""

from __future__ import annotations

import pytest

from schemas.vocabulary import ErrorClass
from streams.error_codes import OF_THE_NUMBER, OUTSIDE_WINDOW, RETRIED_ONCE, classify

TRANSIENT, AMBIGUOUS, TERMINAL = ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS, ErrorClass.TERMINAL
NUMBER, OPT_OUT, CONFIGURATION = ErrorClass.BAD_NUMBER, ErrorClass.OPT_OUT, ErrorClass.CONFIGURATION
FILTERED, RATE, CHANNEL = ErrorClass.FILTERED, ErrorClass.RATE, ErrorClass.CHANNEL

# Written down from the table there (21609 and 21701: api/errors), not from the code. Not in it: codes that
# end no outbound message (30009, 30038, 30039 inbound; 11200, 11205 our webhook; 30025 to 30027 warnings).
CODES = {
    20003: CONFIGURATION, 20404: CONFIGURATION, 20429: RATE, 20500: AMBIGUOUS, 20503: AMBIGUOUS,
    21211: NUMBER, 21212: CONFIGURATION, 21265: NUMBER, 21266: TERMINAL, 21408: CONFIGURATION,
    21606: CONFIGURATION, 21608: CONFIGURATION, 21609: CONFIGURATION, 21610: OPT_OUT, 21611: RATE,
    21612: TERMINAL, 21614: NUMBER, 21617: TERMINAL, 21635: NUMBER, 21659: CONFIGURATION,
    21660: CONFIGURATION, 21661: CONFIGURATION, 21701: CONFIGURATION, 21703: CONFIGURATION,
    21704: CONFIGURATION,
    30001: RATE, 30002: CONFIGURATION, 30003: TRANSIENT, 30004: OPT_OUT, 30005: NUMBER, 30006: NUMBER,
    30007: FILTERED, 30008: TRANSIENT, 30010: TERMINAL, 30017: TRANSIENT, 30018: CONFIGURATION,
    30019: TERMINAL, 30022: RATE, 30023: RATE, 30024: CONFIGURATION, 30032: CONFIGURATION,
    30033: CONFIGURATION, 30034: CONFIGURATION, 30035: CONFIGURATION, 30036: TRANSIENT,
    30037: CONFIGURATION, 30040: CONFIGURATION, 30044: CONFIGURATION, 30046: AMBIGUOUS, 30410: AMBIGUOUS,
    30450: TRANSIENT, 30453: TRANSIENT, 30454: TRANSIENT, 30500: TRANSIENT,
    63001: CONFIGURATION, 63003: CHANNEL, 63005: TERMINAL, 63007: CONFIGURATION, 63013: TERMINAL,
    63015: CONFIGURATION, 63016: CHANNEL, 63017: RATE, 63018: RATE, 63021: TERMINAL, 63024: CHANNEL,
    63032: TERMINAL, 63036: CHANNEL, 63038: RATE, 63049: TERMINAL,
}  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), CODES.items())
def test_a_documented_code_has_its_class(code: int, expected: ErrorClass) -> None:
    assert classify(code) is expected


@pytest.mark.parametrize("code", [None, 0, -1, 1, 12345, 30025, 99999])
def test_a_code_nobody_knows_is_terminal_as_guessing_could_send_twice(code: int | None) -> None:
    assert classify(code) is TERMINAL


def test_a_filtered_message_is_of_a_class_of_its_own_that_is_never_retried() -> None:
    assert [code for code, each in CODES.items() if each is FILTERED] == [30007]


def test_every_class_has_a_code() -> None:
    assert set(CODES.values()) == set(ErrorClass)


def test_every_bad_number_and_repeated_unreachability_says_something_of_the_number() -> None:
    of_class = {code for code, each in CODES.items() if each is NUMBER}
    assert of_class | {30003, 63003, 63024} == OF_THE_NUMBER


@pytest.mark.parametrize("code", sorted(OF_THE_NUMBER))
def test_what_says_something_of_the_number_says_nothing_of_its_owners_will(code: int) -> None:
    assert classify(code) in (NUMBER, CHANNEL, TRANSIENT)


def test_what_is_tried_just_once_more_is_of_a_class_that_is_tried_again() -> None:
    assert {classify(code) for code in RETRIED_ONCE} == {TRANSIENT}


def test_a_text_outside_of_the_window_concerns_the_channel_and_not_the_number() -> None:
    assert classify(OUTSIDE_WINDOW) is CHANNEL
    assert OUTSIDE_WINDOW not in OF_THE_NUMBER
