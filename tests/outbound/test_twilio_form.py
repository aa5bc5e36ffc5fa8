"""What a command is in Twilio's parameters, as they go over the wire (facts, Twilio section 4)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import command_id
from schemas.records import OutboundCommand
from schemas.vocabulary import Channel, ErrorClass
from sinks.outbound.provider import Accepted, Rejected
from sinks.outbound.twilio_api import TwilioMessages
from sinks.outbound.twilio_form import validity_s
from streams.policy import DEFAULTS, AddressRetention, ContentRetention, Policies, Sending, TenantPolicy
from streams.policy.values import Duration
from tests.outbound.examples import BODY, command, now_ms
from tests.outbound.scripted import Scripted, answer, answering
from tests.outbound.simulator import SERVICE, account_at, command_of

pytestmark = pytest.mark.anyio
CREATED = answer(201, json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}))
TEMPLATE = "HX" + "0" * 32


async def told(server: Scripted, wanted: OutboundCommand, policies: Policies = DEFAULTS) -> Any:
    api = TwilioMessages(account_at(server.url), 1, policies)
    try:
        url = f"http://127.0.0.1:9/twilio/status?n={wanted.notification_id}&a={wanted.attempt}"
        return await api.send(wanted, url, time.monotonic() + 5)
    finally:
        await api.close()


async def form_of(wanted: OutboundCommand, sending: Sending | None = None) -> dict[str, list[str]]:
    policies = DEFAULTS
    if sending is not None:
        policies = Policies(tenants={wanted.tenant: TenantPolicy(sending=sending)})
    async with answering(CREATED) as server:
        assert isinstance(await told(server, wanted, policies), Accepted)
        [form] = server.forms
        return form


async def test_a_text_goes_with_sender_recipient_and_the_callback_that_names_the_attempt() -> None:
    wanted = command(attempt=3)
    form = await form_of(wanted)
    assert command_of(form.pop("StatusCallback")[0]) == command_id(wanted.notification_id, 3)
    form.pop("ValidityPeriod")
    assert form == {"To": [wanted.recipient], "From": [wanted.sender], "Body": [BODY]}


@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.RCS])
async def test_channel_addresses_carry_their_prefix(channel: Channel) -> None:
    form = await form_of(command(channel=channel, sender="+14155238886"))
    assert (form["To"], form["From"]) == ([f"{channel}:+12025550123"], [f"{channel}:+14155238886"])


async def test_a_messaging_service_is_named_as_one_and_no_from_is_given() -> None:
    form = await form_of(command(sender=SERVICE))
    assert form["MessagingServiceSid"] == [SERVICE]
    assert "From" not in form


async def test_a_name_that_begins_like_a_service_is_a_name() -> None:
    form = await form_of(command(sender="MGM GRAND"))
    assert form["From"] == ["MGM GRAND"]
    assert "MessagingServiceSid" not in form


async def test_every_attachment_is_a_parameter_of_its_own() -> None:
    urls = ("https://example.com/a.png", "https://example.com/b.png?x=1&y=2")
    form = await form_of(command(channel=Channel.MMS, media_urls=urls))
    assert form["MediaUrl"] == list(urls)
    assert form["Body"] == [BODY]


async def test_attachments_go_without_a_text() -> None:
    form = await form_of(command(body=None, media_urls=("https://example.com/a.png",)))
    assert "Body" not in form


async def test_a_template_goes_with_its_variables_and_without_a_text() -> None:
    form = await form_of(command(content_sid=TEMPLATE, content_variables={"1": "Žofie", "2": 'a "b"'}))
    assert form["ContentSid"] == [TEMPLATE]
    assert json.loads(form["ContentVariables"][0]) == {"1": "Žofie", "2": 'a "b"'}
    assert "Body" not in form


async def test_variables_go_with_a_template_only() -> None:
    assert "ContentVariables" not in await form_of(command(content_variables={"1": "x"}))


@pytest.mark.parametrize("wanted", [True, False])
async def test_characters_are_replaced_only_where_the_count_assumes_it(wanted: bool) -> None:
    form = await form_of(command(smart_encoded=wanted))
    assert form.get("SmartEncoded") == (["true"] if wanted else None)


async def test_what_a_tenant_leaves_open_is_not_asked_for() -> None:
    form = await form_of(command(), Sending())
    assert not {"RiskCheck", "ContentRetention", "AddressRetention"} & set(form)


@pytest.mark.parametrize(("check", "word"), [(True, "enable"), (False, "disable")])
async def test_a_tenant_decides_about_the_risk_check(check: bool, word: str) -> None:
    assert (await form_of(command(), Sending(risk_check=check)))["RiskCheck"] == [word]


async def test_a_tenant_decides_what_the_provider_keeps() -> None:
    form = await form_of(
        command(),
        Sending(content_retention=ContentRetention.DISCARD, address_retention=AddressRetention.OBFUSCATE),
    )
    assert (form["ContentRetention"], form["AddressRetention"]) == (["discard"], ["obfuscate"])


async def test_what_is_worthless_soon_is_not_tried_for_longer_than_that() -> None:
    [left] = (await form_of(command(not_after=now_ms() + 90_500)))["ValidityPeriod"]
    assert 85 <= int(left) <= 90


async def test_what_is_good_for_days_takes_the_providers_longest_period() -> None:
    form = await form_of(command(not_after=now_ms() + 3 * 86_400_000))
    assert "ValidityPeriod" not in form


async def test_a_tenants_validity_cuts_what_is_good_for_days() -> None:
    form = await form_of(command(not_after=now_ms() + 3 * 86_400_000), Sending(validity_ms=Duration(600_000)))
    assert form["ValidityPeriod"] == ["600"]


@given(
    left=st.integers(-(10**9), 10**9),
    wanted=st.none() | st.integers(1, 36_000),
    now=st.integers(0, 2 * 10**12),
)
def test_a_validity_is_what_twilio_takes_and_never_longer_than_anybody_wants(
    left: int, wanted: int | None, now: int
) -> None:
    given_s = validity_s(now + left, wanted, now)
    assert 1 <= given_s <= 36_000
    assert wanted is None or given_s <= wanted
    assert given_s * 1000 <= max(left, 1000)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (command(body="x" * 1601), 21617),
        (command(channel=Channel.MMS, media_urls=("https://e.com/a.png",) * 11), 21623),
    ],
)
async def test_what_twilio_never_takes_is_refused_with_its_code_and_not_asked(
    wanted: OutboundCommand, code: int
) -> None:
    async with answering(CREATED) as server:
        answered = await told(server, wanted)
        assert server.heads == []
    assert isinstance(answered, Rejected)
    assert (answered.code, answered.verdict.error_class) == (code, ErrorClass.TERMINAL)


@pytest.mark.parametrize(
    "wanted",
    [
        command(body="x" * 1600),
        command(body="🚚" * 1600),
        command(channel=Channel.MMS, media_urls=("https://e.com/a.png",) * 10),
        command(body="x" * 1601, content_sid=TEMPLATE),
    ],
)
async def test_what_is_just_allowed_is_asked(wanted: OutboundCommand) -> None:
    assert await form_of(wanted)
