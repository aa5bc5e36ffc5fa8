"""What is told of a message that Twilio was asked about: a price that comes later is another event."""

from __future__ import annotations

from types import SimpleNamespace

from schemas.records import ProviderStatus
from schemas.vocabulary import CommandKind
from sinks.outbound.twilio_message import status_of
from tests.outbound.examples import SENDER, command

SID = "SM" + "0" * 32


def told(price: str | None) -> ProviderStatus:
    asked = command(kind=CommandKind.FETCH, sid=SID, notification_id="n")
    message = SimpleNamespace(
        sid=SID,
        status="delivered",
        error_code=None,
        num_segments="2",
        from_=SENDER,
        price=price,
        price_unit="USD",
    )
    return status_of(message, asked, "AC" + "0" * 32, 1_000)


def test_a_price_and_its_currency_and_the_segments_are_told_with_the_status() -> None:
    status = told("-0.01500")
    assert (status.price, status.price_unit, status.segments) == ("-0.01500", "USD", 2)


def test_a_currency_without_a_price_is_not_told() -> None:
    assert (told(None).price, told(None).price_unit) == (None, None)


def test_a_price_that_comes_later_is_another_event_and_the_same_one_is_the_same() -> None:
    assert told("-0.01500").event_id != told(None).event_id
    assert told("-0.01500").event_id == told("-0.01500").event_id
