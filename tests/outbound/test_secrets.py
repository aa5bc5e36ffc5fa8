"""No secret, no number and no text of a person in any answer, representation, exception or line of a log."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable

import pytest

from schemas.clients import Kafka
from sinks.outbound.config import OutboundConfig, TwilioAccount, UnsafeSettings
from sinks.outbound.provider import LookupFailed
from sinks.outbound.twilio_api import TwilioMessages
from tests.outbound.examples import command, entry
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import ACCOUNT, KEY, SECRET, account_at

SID = "SM" + "0" * 32
RECIPIENT, TEXT = "+12025550166", "the secret of the text"
ECHO = f"about {RECIPIENT}: {TEXT}"
ANSWERS = {
    "refused": answer(400, f'{{"code": 21211, "message": "{ECHO}", "status": 400}}'),
    "refused without a code": answer(400, f'{{"message": "{ECHO}", "status": 400}}'),
    "failed": answer(500, f'{{"code": 20500, "message": "{ECHO}", "status": 500}}'),
    "throttled": answer(429, f'{{"code": 20429, "message": "{ECHO}", "status": 429}}'),
    "a page": answer(201, f"<html>{ECHO}</html>"),
    "accepted": answer(201, f'{{"sid": "SM1", "status": "queued", "to": "{RECIPIENT}", "body": "{TEXT}"}}'),
    "a problem": answer(
        400, f'{{"type": "t", "title": "{ECHO}", "status": 400, "code": 21211, "detail": "{ECHO}"}}'
    ),
    "a list": answer(200, f'{{"messages": [{{"sid": "{SID}", "to": "{RECIPIENT}", "body": "{TEXT}"}}]}}'),
    "the message": answer(200, f'{{"sid": "{SID}", "to": "{RECIPIENT}", "body": "{TEXT}", "status": "x"}}'),
    "another thing": answer(200, f'{{"sid": "{TEXT}", "status": "{TEXT}", "error_code": "{TEXT}"}}'),
    "cut off": answer(201, f'{{"body": "{TEXT}"')[:-3],
    "nothing": b"",
}


@pytest.mark.anyio
@pytest.mark.parametrize("what", ANSWERS)
async def test_an_answer_repeats_neither_the_number_nor_the_text(
    what: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with answering(ANSWERS[what]) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            wanted = command(recipient=RECIPIENT, body=TEXT)
            told = await api.send(wanted, "http://127.0.0.1:9/?n=n&a=1", time.monotonic() + 5)
        finally:
            await api.close()
    out, err = capfd.readouterr()
    everything = "\n".join([repr(told), repr(api), repr(api._http), caplog.text, out, err])
    for secret in (RECIPIENT, RECIPIENT[1:], TEXT, SECRET, KEY):
        assert secret not in everything


ASKED: dict[str, Callable[[TwilioMessages], Awaitable[object]]] = {
    "find": lambda api: api.find(entry(recipient=RECIPIENT), 0),
    "fetch": lambda api: api.fetch(command(sid=SID)),
    "cancel": lambda api: api.cancel(command(sid=SID)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("question", ASKED)
async def test_a_question_repeats_neither_the_number_nor_the_text_of_its_answer(
    question: str, what: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with answering(ANSWERS[what]) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            told = repr(await ASKED[question](api))
        except LookupFailed as failed:
            told = "".join(traceback.format_exception(failed))
        finally:
            await api.close()
    out, err = capfd.readouterr()
    everything = "\n".join([told, caplog.text, out, err])
    for secret in (RECIPIENT, RECIPIENT[1:], TEXT, SECRET, KEY):
        assert secret not in everything


def test_an_account_shows_who_it_is_and_no_key_or_secret() -> None:
    shown = repr(account_at("http://127.0.0.1:9"))
    assert ACCOUNT in shown
    assert KEY not in shown
    assert SECRET not in shown


def config(settle_after_s: float = 120.0) -> OutboundConfig:
    return OutboundConfig(
        kafka=Kafka(bootstrap_servers="broker:9092", sasl_password="of-the-broker"),
        schema_registry_url="http://registry",
        twilio=TwilioAccount(account_sid="AC1", username="SK1", password="of-twilio"),
        public_base_url="https://public",
        streams_group="streams",
        settle_after_s=settle_after_s,
    )


def test_the_configuration_shows_no_password() -> None:
    shown = f"{config()!r} {config()} {config().twilio!r}"
    assert "of-twilio" not in shown
    assert "of-the-broker" not in shown
    assert "broker:9092" in shown


def test_a_doubt_may_not_be_settled_while_a_call_can_still_be_answered() -> None:
    with pytest.raises(UnsafeSettings, match=r"SETTLE_AFTER_S is 18.*raise it"):
        config(settle_after_s=18.0)
    assert config(settle_after_s=18.1).settle_after_s == 18.1
