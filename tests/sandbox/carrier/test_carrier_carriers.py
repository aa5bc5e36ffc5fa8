"""Numbers and the networks that serve them agree with libphonenumber."""

import random

import phonenumbers
import pytest
from phonenumbers import carrier as names

from sandbox.carrier.carriers import CARRIERS, COUNTRIES, carrier_of, sample_number
from sandbox.carrier.magic import Magic, magic_of

NAMELESS = {"US", "MX"}


@pytest.mark.parametrize("country", COUNTRIES)
def test_sampled_numbers_are_valid_ordinary_mobiles_of_their_country(country: str) -> None:
    rng = random.Random(country)
    for _ in range(200):
        e164 = sample_number(country, rng)
        number = phonenumbers.parse(e164, None)
        assert phonenumbers.is_valid_number_for_region(number, country)
        kind = phonenumbers.number_type(number)
        assert kind != phonenumbers.PhoneNumberType.FIXED_LINE or country == "MX"
        assert magic_of(e164) is None


@pytest.mark.parametrize("country", sorted(set(COUNTRIES) - NAMELESS))
def test_a_sampled_number_has_the_carrier_libphonenumber_names(country: str) -> None:
    rng = random.Random(country)
    for _ in range(200):
        e164 = sample_number(country, rng)
        assert carrier_of(e164).name == names.name_for_number(phonenumbers.parse(e164, None), "en")


@pytest.mark.parametrize("country", COUNTRIES)
def test_samples_come_from_every_carrier_of_the_country(country: str) -> None:
    rng = random.Random(1)
    seen = {carrier_of(sample_number(country, rng)).name for _ in range(200)}
    assert seen == {carrier.name for carrier in CARRIERS if carrier.country == country}


def test_the_same_generator_state_samples_the_same_number() -> None:
    assert sample_number("GB", random.Random(5)) == sample_number("GB", random.Random(5))


def test_an_unknown_country_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="US, GB"):
        sample_number("XX", random.Random(1))


def test_a_network_outside_the_table_keeps_the_name_libphonenumber_gives_it() -> None:
    assert carrier_of("+46701740605").country == "SE"
    assert carrier_of("+818012345678").name == "NTT Docomo"


def test_a_number_of_nowhere_is_served_all_the_same() -> None:
    assert carrier_of("nonsense").name == "unknown"


@pytest.mark.parametrize("magic", Magic)
def test_every_magic_number_is_valid_for_libphonenumber_and_fictional(magic: Magic) -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse(magic.number, None))
    assert magic.number[5:10] == "55501"
    assert magic_of(magic.number) is magic
