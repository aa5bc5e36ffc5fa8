"""Estimates: the deployment's list times what is counted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Channel
from streams.policy import Prices
from streams.prices import estimate

PRICES = Prices(
    currency="USD",
    per_segment={
        "DE": {Channel.SMS: Decimal("0.0750"), Channel.WHATSAPP: Decimal("0.05")},
        "*": {Channel.SMS: Decimal("0.1"), Channel.MMS: Decimal("0.02")},
    },
)


@pytest.mark.parametrize(
    ("country", "channel", "segments", "cost"),
    [
        ("DE", Channel.SMS, 3, "0.2250"),
        ("FR", Channel.SMS, 3, "0.3"),
        ("DE", Channel.WHATSAPP, 3, "0.05"),
        ("DE", Channel.MMS, 3, "0.02"),
        ("FR", Channel.WHATSAPP, 1, None),
    ],
)
def test_a_price_is_that_of_the_country_or_of_anywhere(
    country: str, channel: Channel, segments: int, cost: str | None
) -> None:
    assert estimate(PRICES, country, channel, segments) == cost


def test_without_a_list_there_is_no_guess() -> None:
    assert estimate(Prices(), "DE", Channel.SMS, 1) is None


@given(st.decimals("0", "999", places=6), st.integers(1, 2_000))
def test_an_estimate_is_exact_and_has_no_exponent(price: Decimal, segments: int) -> None:
    found = estimate(
        Prices(currency="USD", per_segment={"*": {Channel.SMS: price}}), "DE", Channel.SMS, segments
    )
    assert found is not None
    assert "E" not in found
    assert Decimal(found) == price * segments
