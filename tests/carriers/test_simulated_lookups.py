"""What the simulator's Lookup API answers, as Twilio's does."""

from __future__ import annotations

import random

import pytest

from sandbox.carrier.carriers import COUNTRIES, carrier_of, sample_number
from sandbox.carrier.lookups import phone_number

URL = "http://127.0.0.1:1/v2/PhoneNumbers/x"


@pytest.mark.parametrize("country", COUNTRIES)
def test_the_carrier_is_the_one_that_serves_the_number(country: str) -> None:
    number = sample_number(country, random.Random(7))
    answer = phone_number(number, True, None, URL)
    line = answer.line_type_intelligence
    assert line is not None
    assert (answer.valid, answer.country_code) == (True, country)
    assert (line.carrier_name, line.type) == (carrier_of(number).name, "mobile")
    assert line.mobile_country_code is not None
    assert line.mobile_network_code is not None


def test_without_the_package_nothing_is_told_of_the_line() -> None:
    assert phone_number("+4917012345678", False, None, URL).line_type_intelligence is None


def test_a_landline_has_no_mobile_codes() -> None:
    line = phone_number("+493012345678", True, None, URL).line_type_intelligence
    assert line is not None
    assert (line.type, line.mobile_country_code, line.mobile_network_code) == ("landline", None, None)


@pytest.mark.parametrize("text", ["nonsense", "+49", "+1415"])
def test_what_is_no_number_is_answered_as_invalid_with_the_reason(text: str) -> None:
    answer = phone_number(text, True, None, URL)
    assert not answer.valid
    assert answer.validation_errors
    assert answer.line_type_intelligence is None
