"""Where requests go, with which credentials, and how long the provider asks to wait."""

from __future__ import annotations

import base64
import time
from email.utils import formatdate

import pytest

from sinks.outbound.config import TWILIO_API, TwilioAccount
from sinks.outbound.provider import Accepted
from sinks.outbound.twilio_api import TwilioMessages
from sinks.outbound.twilio_http import seconds_to_wait
from tests.outbound.examples import command
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import ACCOUNT, KEY, SECRET, account_at

pytestmark = pytest.mark.anyio
CREATED = answer(
    201,
    f'{{"sid": "SM{"0" * 32}", "status": "queued"}}',
    headers="Set-Cookie: session=1; Path=/\r\nConnection: close\r\n",
)


def account(api_url: str = TWILIO_API, region: str | None = None, edge: str | None = None) -> TwilioAccount:
    return TwilioAccount(
        account_sid=ACCOUNT, username=KEY, password=SECRET, api_url=api_url, region=region, edge=edge
    )


async def host_asked(at: TwilioAccount, monkeypatch: pytest.MonkeyPatch) -> str:
    """The host that a request would go to; none does."""
    asked: list[str] = []

    async def request(method: str, url: str, **options: object) -> None:
        asked.append(url)
        raise ConnectionError

    api = TwilioMessages(at, 1)
    monkeypatch.setattr(api._http, "request", request)
    try:
        await api.send(command(), "https://hooks.example.com", time.monotonic() + 5)
    finally:
        await api.close()
    [url] = asked
    return url.removesuffix(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json")


@pytest.mark.parametrize(
    ("changes", "host"),
    [
        ({}, "https://api.twilio.com"),
        ({"api_url": "https://api.twilio.com/"}, "https://api.twilio.com"),
        ({"region": "ie1"}, "https://api.ie1.twilio.com"),
        ({"edge": "dublin"}, "https://api.dublin.us1.twilio.com"),
        ({"region": "ie1", "edge": "dublin"}, "https://api.dublin.ie1.twilio.com"),
    ],
)
async def test_region_and_edge_say_which_of_twilios_machines_is_asked(
    changes: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await host_asked(account(**changes), monkeypatch) == host


async def test_the_environment_does_not_choose_a_region_behind_the_settings_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    assert await host_asked(account(), monkeypatch) == "https://api.twilio.com"


async def sent_to(at: TwilioAccount, times: int = 1) -> None:
    api = TwilioMessages(at, 1)
    try:
        for _ in range(times):
            told = await api.send(command(), "https://hooks.example.com", time.monotonic() + 5)
            assert isinstance(told, Accepted)
    finally:
        await api.close()


async def test_another_base_url_is_asked_as_it_is_with_its_path() -> None:
    async with answering(CREATED) as server:
        await sent_to(account(api_url=f"{server.url}/twilio/", region="ie1", edge="dublin"))
    assert server.heads[0].startswith(f"POST /twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json ")


async def test_a_request_is_authorised_by_the_key_and_its_secret() -> None:
    async with answering(CREATED) as server:
        await sent_to(account_at(server.url))
    basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert f"Authorization: Basic {basic}\r\n" in server.heads[0]


async def test_nothing_is_remembered_from_one_request_to_the_next() -> None:
    async with answering(CREATED) as server:
        await sent_to(account_at(server.url), times=2)
    assert len(server.heads) == 2
    assert not any("cookie" in head.lower() for head in server.heads)


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_a_wait_is_told_in_seconds_or_as_a_date(header: str, wait_s: float | None) -> None:
    assert seconds_to_wait(header, NOW) == wait_s
