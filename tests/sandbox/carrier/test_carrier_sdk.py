"""The real Twilio SDK, sync and async, against the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from twilio.auth_strategy.auth_strategy import AuthStrategy
from twilio.auth_strategy.auth_type import AuthType
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.credential.credential_provider import CredentialProvider
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from sandbox.carrier.magic import Magic
from tests.sandbox.carrier.support import ACCOUNT, KEY, SECRET, SENDER, SERVICE, TOKEN, Simulator

FRIEND = Magic.DELIVERED.number


def refused(simulator: Simulator, **parameters: object) -> TwilioRestException:
    wanted: dict[str, object] = {"to": FRIEND, "from_": SENDER, "body": "hello"} | parameters
    with pytest.raises(TwilioRestException) as caught:
        simulator.client().messages.create(
            **{name: value for name, value in wanted.items() if value is not None}
        )
    return caught.value


def test_a_from_send_is_answered_queued_with_its_sender(simulator: Simulator) -> None:
    message = simulator.client().messages.create(to=FRIEND, from_=SENDER, body="hello")
    assert (message.status, message.from_, message.num_segments) == ("queued", SENDER, "1")


def test_a_service_send_is_answered_accepted_without_a_sender(simulator: Simulator) -> None:
    message = simulator.client().messages.create(to=FRIEND, messaging_service_sid=SERVICE, body="hello")
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    assert message.messaging_service_sid == SERVICE


def test_media_makes_an_mms(simulator: Simulator) -> None:
    urls = ["https://example.com/1.jpg", "https://example.com/2.jpg"]
    message = simulator.client().messages.create(to=FRIEND, from_=SENDER, media_url=urls)
    assert (str(message.sid)[:2], message.num_media) == ("MM", "2")


def test_an_api_key_may_send_as_well(simulator: Simulator) -> None:
    assert simulator.client(KEY, SECRET).messages.create(to=FRIEND, from_=SENDER, body="hello").sid


@pytest.mark.parametrize(("user", "secret"), [(ACCOUNT, "wrong"), (KEY, TOKEN), ("AC" + "9" * 32, TOKEN)])
def test_wrong_credentials_are_answered_401_and_20003(simulator: Simulator, user: str, secret: str) -> None:
    with pytest.raises(TwilioRestException) as caught:
        simulator.client(user, secret).messages.create(to=FRIEND, from_=SENDER, body="hello")
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_another_account_is_answered_404_and_20404(simulator: Simulator) -> None:
    with pytest.raises(TwilioRestException) as caught:
        simulator.client(account="AC" + "9" * 32).messages.create(to=FRIEND, from_=SENDER, body="hello")
    assert (caught.value.status, caught.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"to": ""}, 21604),
        ({"to": "12345"}, 21265),
        ({"to": "+12"}, 21211),
        ({"to": "somebody"}, 21211),
        ({"to": SENDER}, 21266),
        ({"to": "+442079460018"}, None),
        ({"to": "+493012345678"}, 21635),
        ({"to": "+493012345678", "force_delivery": True}, None),
        ({"to": "+15555550100"}, None),
        ({"to": "whatsapp:" + FRIEND}, 21910),
        ({"to": "whatsapp:" + FRIEND, "from_": "whatsapp:" + SENDER}, None),
        ({"to": "rcs:" + FRIEND, "from_": "rcs:brand"}, None),
        ({"from_": None}, 21603),
        ({"from_": "+1"}, 21212),
        ({"from_": "12345"}, None),
        ({"from_": "Brand"}, None),
        ({"body": None}, 21602),
        ({"body": ""}, 21602),
        ({"body": "x" * 1600}, None),
        ({"body": "x" * 1601}, 21617),
        ({"media_url": ["https://example.com/x.jpg"] * 11}, 21623),
        ({"media_url": ["ftp://example.com/x.jpg"]}, 21620),
        ({"content_sid": "HX1"}, 21655),
        ({"body": None, "content_sid": "HX" + "a" * 32, "content_variables": '{"1": "x"}'}, None),
        ({"content_sid": "HX" + "a" * 32, "content_variables": "{"}, 21656),
        ({"content_variables": "{}"}, 21656),
        ({"status_callback": "http://un_der.example.com/"}, 21609),
        ({"status_callback": "mailto:me@example.com"}, 21609),
        ({"validity_period": 0}, 20001),
        ({"schedule_type": "fixed", "send_at": datetime.now(UTC) + timedelta(hours=1)}, 35118),
        ({"to": "+15005550001"}, 21211),
        ({"to": "+15005550002"}, 21612),
        ({"to": "+15005550003"}, 21408),
        ({"to": "+15005550004"}, 21610),
        ({"to": "+15005550009"}, 21614),
        ({"from_": "+15005550001"}, 21212),
        ({"from_": "+15005550007"}, 21606),
        ({"from_": "+15005550008"}, 21611),
    ],
)
def test_parameters_are_judged_with_twilios_codes(
    simulator: Simulator, parameters: dict[str, object], code: int | None
) -> None:
    if code is None:
        wanted: dict[str, object] = {"to": FRIEND, "from_": SENDER, "body": "hello"} | parameters
        given = {name: value for name, value in wanted.items() if value is not None}
        assert simulator.client().messages.create(**given).sid
    else:
        error = refused(simulator, **parameters)
        assert (error.status, error.code) == (400, code)


@pytest.mark.parametrize(
    ("send_at", "code"),
    [(None, 35111), (timedelta(seconds=200), 35114), (timedelta(days=36), 35114)],
)
def test_a_schedule_outside_the_window_is_refused(
    simulator: Simulator, send_at: timedelta | None, code: int
) -> None:
    at = {} if send_at is None else {"send_at": datetime.now(UTC) + send_at}
    error = refused(simulator, from_=None, messaging_service_sid=SERVICE, schedule_type="fixed", **at)
    assert error.code == code


def scheduled(simulator: Simulator) -> MessageInstance:
    return simulator.client().messages.create(
        to=FRIEND,
        messaging_service_sid=SERVICE,
        body="later",
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
    )


def test_a_scheduled_message_can_be_canceled_and_reaches_nobody(simulator: Simulator) -> None:
    message = scheduled(simulator)
    assert message.status == "scheduled"
    assert message.update(status="canceled").status == "canceled"
    kept = simulator.message(str(message.sid))
    assert (kept.final_status, kept.reached, kept.done) == ("canceled", False, True)


def test_a_cancel_that_comes_late_is_refused_with_30409(simulator: Simulator) -> None:
    message = simulator.client().messages.create(to=FRIEND, from_=SENDER, body="now")
    with pytest.raises(TwilioRestException) as caught:
        message.update(status="canceled")
    assert caught.value.code == 30409


def test_a_finished_message_can_be_redacted_and_deleted(simulator: Simulator) -> None:
    client = simulator.client()
    sid = str(client.messages.create(to=FRIEND, from_=SENDER, body="secret").sid)
    simulator.settle_one(sid)
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).delete()
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_a_message_on_its_way_cannot_be_deleted(simulator: Simulator) -> None:
    message = scheduled(simulator)
    with pytest.raises(TwilioRestException) as caught:
        message.delete()
    assert caught.value.code == 20009
    message.update(status="canceled")


def test_fetching_shows_the_status_of_now_and_the_error_of_a_bad_end(simulator: Simulator) -> None:
    client = simulator.client()
    sid = str(client.messages.create(to=Magic.FILTERED.number, from_=SENDER, body="hello").sid)
    simulator.settle_one(sid)
    message = client.messages(sid).fetch()
    assert (message.status, message.error_code) == ("undelivered", 30007)
    assert message.error_message == "Message filtered"
    assert message.date_sent is not None


def test_feedback_is_taken(simulator: Simulator) -> None:
    client = simulator.client()
    sid = str(client.messages.create(to=FRIEND, from_=SENDER, body="hello").sid)
    assert client.messages(sid).feedback.create(outcome="confirmed").outcome == "confirmed"


def test_a_list_filters_by_recipient_sender_and_time(simulator: Simulator) -> None:
    client, to, other = simulator.client(), "+15555550123", "+15005550010"
    before = datetime.now(UTC)
    mine = client.messages.create(to=to, from_=SENDER, body="one").sid
    theirs = client.messages.create(to=to, from_=other, body="two").sid

    def found(**filters: object) -> list[object]:
        return [message.sid for message in client.messages.list(to=to, **filters)]

    assert found() == [theirs, mine]
    assert found(from_=SENDER) == [mine]
    assert found(date_sent_after=before) == [theirs, mine]
    assert found(date_sent_before=before + timedelta(minutes=1)) == [theirs, mine]
    assert found(date_sent_after=before + timedelta(minutes=1)) == []
    assert found(date_sent_before=before - timedelta(minutes=1)) == []
    assert found(date_sent=before) == [theirs, mine]
    assert found(date_sent=before - timedelta(days=2)) == []


def test_the_ledger_has_the_lists_that_were_asked_for(simulator: Simulator) -> None:
    to = "+15555550124"
    before = simulator.ledger().lists
    simulator.client().messages.list(to=to)
    with pytest.raises(TwilioException):
        simulator.client(secret="wrong").messages.list(to=to)
    asked = simulator.ledger().lists[len(before) :]
    assert [(each.to, each.error_code) for each in asked] == [(to, None), (to, 20003)]


def test_a_long_list_is_read_page_by_page(simulator: Simulator) -> None:
    client, to = simulator.client(), "+15555550177"
    sids = [client.messages.create(to=to, from_=SENDER, body=str(number)).sid for number in range(7)]
    assert [message.sid for message in client.messages.list(to=to, page_size=3)] == sids[::-1]


def test_equal_content_sent_twice_makes_two_messages(simulator: Simulator) -> None:
    client, body = simulator.client(), str(uuid4())
    first, second = (client.messages.create(to=FRIEND, from_=SENDER, body=body) for _ in range(2))
    assert first.sid != second.sid


class BasicHeader(CredentialProvider, AuthStrategy):
    """Basic auth as a header of our own: the SDK's way uses a parameter aiohttp 3.14 warns about."""

    def __init__(self) -> None:
        super().__init__(AuthType.BASIC)

    def to_auth_strategy(self) -> AuthStrategy:
        return self

    def get_auth_string(self) -> str:
        return aiohttp.encode_basic_auth(KEY, SECRET)

    def requires_authentication(self) -> bool:
        return True


class PatientHttpClient(AsyncTwilioHttpClient):
    """The SDK's async client keeps its time-out and never uses it: a hung call would hang for ever."""

    async def request(self, *arguments: Any, **named: Any) -> Any:
        return await super().request(*arguments, **named | {"timeout": named.get("timeout") or self.timeout})


@asynccontextmanager
async def async_client(simulator: Simulator, patience_s: float) -> AsyncIterator[Client]:
    async with PatientHttpClient(timeout=patience_s) as http:
        client = Client(account_sid=ACCOUNT, http_client=http, credential_provider=BasicHeader())
        client.api.base_url = simulator.url
        yield client


def test_the_async_client_sends_and_lists(simulator: Simulator) -> None:
    async def send() -> tuple[object, list[object]]:
        async with async_client(simulator, patience_s=10) as client:
            sent = await client.messages.create_async(to="+15555550188", from_=SENDER, body="hello")
            found = await client.messages.list_async(to="+15555550188", limit=5)
            return sent.sid, [message.sid for message in found]

    sid, found = asyncio.run(send())
    assert found == [sid]


def test_the_async_client_gives_up_on_a_call_that_is_never_answered(simulator: Simulator) -> None:
    async def send() -> None:
        async with async_client(simulator, patience_s=0.3) as client:
            await client.messages.create_async(to=Magic.ACCEPTED_HANG.number, from_=SENDER, body="hello")

    with pytest.raises(TimeoutError):
        asyncio.run(send())
