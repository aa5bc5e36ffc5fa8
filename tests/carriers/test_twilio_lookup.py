"""The Lookup API through the SDK, against the simulator and against answers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sandbox.carrier.lookups import fetch_lookups, port_number
from sinks.carriers.lines import Answer, Line, NotNow
from sinks.carriers.twilio_lookup import UNAUTHORIZED_AFTER_S, TwilioLookups, line_of, refusal
from sinks.outbound.config import TwilioAccount
from tests.ingress.closed_port import closed_port
from tests.outbound.simulator import Simulator, simulating

GERMAN = "+4917012345678"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulating(tmp_path_factory.mktemp("carrier") / "log") as running:
        yield running


def ask(account: TwilioAccount, number: str) -> Answer:
    async def one() -> Answer:
        lookups = TwilioLookups(account)
        try:
            return await lookups.ask(number)
        finally:
            await lookups.close()

    return asyncio.run(one())


def test_a_look_up_tells_carrier_codes_and_line_type(simulator: Simulator) -> None:
    assert ask(simulator.account(), GERMAN) == Line("T-Mobile", "262", "01", "mobile", "DE", 0)


def test_a_ported_number_is_answered_with_its_new_carrier(simulator: Simulator) -> None:
    number = "+4917012345679"
    port_number(simulator.url, number, "Vodafone")
    assert ask(simulator.account(), number) == Line("Vodafone", "262", "02", "mobile", "DE", 0)


def test_a_number_that_cannot_be_is_an_answer_and_not_an_error(simulator: Simulator) -> None:
    answer = ask(simulator.account(), "+491")
    assert isinstance(answer, Line)
    assert (answer.carrier, answer.line_type) == ("", "invalid")


def test_every_look_up_is_counted_by_the_simulator(simulator: Simulator) -> None:
    before = len(fetch_lookups(simulator.url).numbers)
    ask(simulator.account(), GERMAN)
    assert len(fetch_lookups(simulator.url).numbers) == before + 1


def test_wrong_credentials_are_not_charged_and_not_asked_again_at_once(simulator: Simulator) -> None:
    wrong = msgspec.structs.replace(simulator.account(), password="another")
    answer = ask(wrong, GERMAN)
    assert isinstance(answer, NotNow)
    assert (answer.maybe_charged, answer.after_s) == (False, UNAUTHORIZED_AFTER_S)
    assert "check TWILIO_" in answer.reason


def test_nobody_there_is_not_charged_and_repeats_no_number(simulator: Simulator) -> None:
    away = msgspec.structs.replace(simulator.account(), api_url=f"http://{closed_port()}")
    answer = ask(away, GERMAN)
    assert isinstance(answer, NotNow)
    assert not answer.maybe_charged
    assert GERMAN[1:] not in answer.reason


def test_throttling_is_never_charged(tmp_path: Path) -> None:
    # All but the first thousandth of each second.
    with simulating(tmp_path / "log", "--throttle-bursts", "1000,999.999") as throttled:
        answer = ask(throttled.account(), GERMAN)
    assert answer == NotNow("throttled (429)", maybe_charged=False)


@pytest.mark.parametrize(
    ("status", "charged"), [(500, True), (503, True), (408, True), (429, False), (401, False), (403, False)]
)
def test_what_may_have_been_done_counts_as_charged(status: int, charged: bool) -> None:
    answer = refusal(status, None, None)
    assert isinstance(answer, NotNow)
    assert answer.maybe_charged is charged


@pytest.mark.parametrize(("status", "code", "kept"), [(404, 20404, 20404), (400, None, 400)])
def test_a_refusal_of_the_number_is_an_answer_that_is_kept(status: int, code: int | None, kept: int) -> None:
    assert refusal(status, code, None) == Line("", "", "", "", "", kept)


def test_a_country_without_approval_is_kept_with_its_code() -> None:
    told = {"error_code": 60601, "carrier_name": None, "type": None}
    assert line_of(True, "CA", told) == Line("", "", "", "", "CA", 60601)


def test_an_answer_without_the_package_says_nothing() -> None:
    assert line_of(True, "US", None) == Line("", "", "", "", "US", 0)
