"""Every request of the adapter, as it goes over the wire, is one that Twilio's own description knows."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.exceptions import ValidationError

from ingress.callback_url import status_callback_url
from schemas.records import OutboundCommand
from schemas.vocabulary import SENDABLE_CHANNELS, Channel
from sinks.outbound.config import TwilioAccount
from sinks.outbound.provider import LookupFailed, Rejected
from sinks.outbound.twilio_api import TwilioMessages
from streams.policy import AddressRetention, ContentRetention, Policies, Sending, TenantPolicy
from streams.policy.values import Duration
from tests.outbound.examples import command, entry, now_ms
from tests.outbound.scripted import Scripted, answer, answering
from tests.outbound.simulator import ACCOUNT, account_at
from tests.outbound.twilio_description import Description, NotInTheDescription, description

MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages"
SID = "SM" + "0123456789abcdef" * 2
CREATED = answer(201, json.dumps({"sid": SID, "status": "queued"}))


@pytest.fixture(scope="module")
def described() -> Description:
    return description()


def sids(prefix: str) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=32, max_size=32).map(lambda digits: prefix + digits)


numbers = st.integers(10**9, 10**14 - 1).map(lambda n: f"+{n}".replace("+0", "+1"))
senders = st.one_of(numbers, sids("MG"), st.sampled_from(["12345", "ACME", "MGM GRAND"]))
texts = st.text(min_size=1, max_size=1600)
contents = st.one_of(
    st.fixed_dictionaries({"body": texts, "smart_encoded": st.booleans()}),
    st.fixed_dictionaries(
        {
            "body": st.none() | texts,
            "media_urls": st.lists(st.just("https://e.com/a?x=1&y=ž"), min_size=1, max_size=10).map(tuple),
        }
    ),
    st.fixed_dictionaries(
        {
            "body": st.none(),
            "content_sid": sids("HX"),
            "content_variables": st.dictionaries(texts, texts, max_size=3),
        }
    ),
)


@st.composite
def commands(draw: st.DrawFn) -> OutboundCommand:
    return command(
        notification_id=str(draw(st.uuids(version=5))),
        attempt=draw(st.integers(1, 9999)),
        channel=draw(st.sampled_from(SENDABLE_CHANNELS)),
        sender=draw(senders),
        recipient=draw(numbers),
        not_after=now_ms() + draw(st.integers(-1000, 3 * 86_400_000)),
        sid=draw(sids("SM") | sids("MM")),
        **draw(contents),
    )


sendings = st.builds(
    Sending,
    risk_check=st.none() | st.booleans(),
    content_retention=st.none() | st.sampled_from(ContentRetention),
    address_retention=st.none() | st.sampled_from(AddressRetention),
    validity_ms=st.none() | st.integers(1_000, 36_000_000).map(Duration),
)
Ask = Callable[[TwilioMessages], Awaitable[object]]


def captured(ask: Ask, account: TwilioAccount | None = None, sending: Sending | None = None) -> Scripted:
    """What the adapter wrote to the wire for this."""

    async def main() -> Scripted:
        policies = Policies(default=TenantPolicy(sending=sending or Sending()))
        async with answering(CREATED) as server:
            at = account or account_at(server.url)
            api = TwilioMessages(at, 1, policies)
            try:
                answered = await ask(api)
                assert not isinstance(answered, Rejected)
            except LookupFailed:
                pass  # the answer is that of a create request
            finally:
                await api.close()
        return server

    return asyncio.run(main())


def send(wanted: OutboundCommand) -> Ask:
    url = status_callback_url("https://hooks.example.com", wanted.notification_id, wanted.attempt)
    return lambda api: api.send(wanted, url, time.monotonic() + 5)


def operation(described: Description, server: Scripted) -> str:
    [head], [form] = server.heads, server.forms
    return described.check(head, form)


@settings(deadline=None, max_examples=60)
@given(wanted=commands(), sending=sendings)
def test_every_create_request_is_valid(
    described: Description, wanted: OutboundCommand, sending: Sending
) -> None:
    assert operation(described, captured(send(wanted), sending=sending)) == f"post {MESSAGES}.json"


@settings(deadline=None, max_examples=20)
@given(wanted=commands())
def test_every_fetch_is_valid(described: Description, wanted: OutboundCommand) -> None:
    assert operation(described, captured(lambda api: api.fetch(wanted))) == f"get {MESSAGES}/{{Sid}}.json"


@settings(deadline=None, max_examples=20)
@given(wanted=commands())
def test_every_cancellation_is_valid(described: Description, wanted: OutboundCommand) -> None:
    server = captured(lambda api: api.cancel(wanted))
    assert operation(described, server) == f"post {MESSAGES}/{{Sid}}.json"
    assert server.forms == [{"Status": ["canceled"]}]


@settings(deadline=None, max_examples=20)
@given(recipient=numbers, channel=st.sampled_from(SENDABLE_CHANNELS), sender=senders)
def test_every_look_up_is_valid(
    described: Description, recipient: str, channel: Channel, sender: str
) -> None:
    doubt = entry(recipient=recipient, channel=channel, sender=sender)
    server = captured(lambda api: api.find(doubt, 0))
    assert operation(described, server) == f"get {MESSAGES}.json"


RIGHT = {"To": ["+12025550123"], "From": ["+15005550006"], "Body": ["text"]}


def checked(described: Description, form: dict[str, Any], path: str = MESSAGES + ".json") -> str:
    target = path.replace("{AccountSid}", ACCOUNT).replace("{Sid}", SID)
    return described.check(f"POST {target} HTTP/1.1\r\nHost: a\r\n\r\n", form)


def test_the_check_itself_takes_a_right_request(described: Description) -> None:
    assert checked(described, RIGHT) == f"post {MESSAGES}.json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": ["+12025550123"]},
        {"MessageBody": ["text"]},
        {"RiskCheck": ["enabled"]},
        {"AddressRetention": ["discard"]},
        {"ValidityPeriod": ["1.5"]},
        {"SmartEncoded": ["True"]},
        {"MessagingServiceSid": ["MG1"]},
        {"ContentSid": ["SM" + "0" * 32]},
        {"Body": ["one", "two"]},
        {"StatusCallback": ["example.com"]},
        {"To": ["whatsapp:whatsapp:+12025550123"]},
    ],
    ids=str,
)
def test_the_check_itself_refuses_a_wrong_one(described: Description, wrong: dict[str, list[str]]) -> None:
    with pytest.raises((NotInTheDescription, ValidationError)):
        checked(described, RIGHT | wrong)


def test_the_check_itself_refuses_what_lacks_a_recipient_or_goes_elsewhere(described: Description) -> None:
    with pytest.raises(NotInTheDescription):
        checked(described, {"Body": ["text"]})
    with pytest.raises(NotInTheDescription):
        checked(described, RIGHT, MESSAGES + "/SM1.json")
    with pytest.raises(ValidationError):
        checked(described, {"Status": ["cancelled"]}, MESSAGES + "/{Sid}.json")


def test_another_account_and_address_change_nothing_but_where_and_who() -> None:
    """Base URL and credentials are all that a test, a proxy or a region changes."""
    wanted = command(notification_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, "n")))
    seen: list[tuple[str, str]] = []
    for account, key, prefix in (
        (ACCOUNT, "SK" + "1" * 32, ""),
        ("AC" + "9" * 32, "AC" + "9" * 32, "/proxy/twilio"),
    ):

        async def main(account: str = account, key: str = key, prefix: str = prefix) -> Scripted:
            async with answering(CREATED) as server:
                at = TwilioAccount(
                    account_sid=account, username=key, password="p", api_url=server.url + prefix
                )
                api = TwilioMessages(at, 1)
                try:
                    await send(wanted)(api)
                finally:
                    await api.close()
            return server

        server = asyncio.run(main())
        form = {name: value for name, value in server.forms[0].items() if name != "ValidityPeriod"}
        seen.append(
            (
                server.heads[0].splitlines()[0].replace(account, "AC").replace(prefix, ""),
                urlencode(form, True),
            )
        )
    assert seen[0] == seen[1]
    assert seen[0][0] == "POST /2010-04-01/Accounts/AC/Messages.json HTTP/1.1"
