"""Sending by the simulated provider: what it accepts, refuses, throttles and leaves in doubt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from sandbox.carrier.magic import REFUSED_RECIPIENTS, REFUSED_SENDERS, Magic
from schemas.identity import text_digest
from schemas.records import OutboundCommand
from schemas.vocabulary import Channel
from sinks.outbound.provider import Accepted, Ambiguous, NotSent, Rejected, SendAnswer
from sinks.outbound.twilio_api import TwilioMessages
from tests.outbound.examples import BODY, command
from tests.outbound.simulator import SERVICE, Simulator, account_at

pytestmark = pytest.mark.anyio
READ_TIMEOUT_S = 1.0
# What a shared machine may add to a time-out.
SLACK_S = 2.0


@pytest.fixture
async def api(simulator: Simulator) -> AsyncIterator[TwilioMessages]:
    messages = TwilioMessages(simulator.account(read_timeout_s=READ_TIMEOUT_S), 8)
    yield messages
    await messages.close()


async def send(api: TwilioMessages, wanted: OutboundCommand, *, within_s: float = 5.0) -> SendAnswer:
    url = f"http://127.0.0.1:9/twilio/status?n={wanted.notification_id}&a={wanted.attempt}"
    return await api.send(wanted, url, time.monotonic() + within_s)


async def test_an_accepted_message_is_told_with_its_sid_status_and_request(
    api: TwilioMessages, simulator: Simulator
) -> None:
    wanted = command()
    told = await send(api, wanted)
    assert isinstance(told, Accepted)
    assert told.status == "queued"
    assert (told.request_id or "").startswith("RQ")
    [seen] = simulator.requests(wanted.command_id)
    assert (seen.sid, seen.body_sha256) == (told.sid, text_digest(BODY))


@pytest.mark.parametrize(("recipient", "code"), REFUSED_RECIPIENTS.items())
async def test_a_recipient_the_provider_refuses_is_rejected_with_its_code(
    api: TwilioMessages, recipient: str, code: int
) -> None:
    told = await send(api, command(recipient=recipient))
    assert isinstance(told, Rejected)
    assert told.code == code


@pytest.mark.parametrize(("sender", "code"), REFUSED_SENDERS.items())
async def test_a_sender_the_provider_refuses_is_rejected_with_its_code(
    api: TwilioMessages, sender: str, code: int
) -> None:
    told = await send(api, command(sender=sender))
    assert isinstance(told, Rejected)
    assert told.code == code


async def test_a_text_that_is_too_long_is_rejected(api: TwilioMessages) -> None:
    told = await send(api, command(body="x" * 1601))
    assert isinstance(told, Rejected)
    assert told.code == 21617


async def test_wrong_credentials_are_a_rejection_by_the_provider(simulator: Simulator) -> None:
    api = TwilioMessages(account_at(simulator.url), 1)
    api._client.auth = (api._client.username, "wrong")
    try:
        told = await send(api, command())
    finally:
        await api.close()
    assert isinstance(told, Rejected)
    assert told.code == 20003


async def test_429_was_never_processed_and_asks_to_wait(api: TwilioMessages) -> None:
    assert await send(api, command(recipient=Magic.THROTTLED.number)) == NotSent("throttled (429)", True)


@pytest.mark.parametrize("magic", [Magic.ERROR_BEFORE, Magic.ERROR_AFTER, Magic.UNAVAILABLE])
async def test_a_server_error_may_have_sent_it(api: TwilioMessages, magic: Magic) -> None:
    told = await send(api, command(recipient=magic.number))
    assert isinstance(told, Ambiguous)
    assert told.request_id


async def test_a_connection_reset_after_the_request_may_have_sent_it(
    api: TwilioMessages, simulator: Simulator
) -> None:
    wanted = command(recipient=Magic.ACCEPTED_RESET.number)
    assert isinstance(await send(api, wanted), Ambiguous)
    assert simulator.accepted()[wanted.command_id]


async def test_an_answer_that_never_comes_may_have_been_a_yes_and_is_given_up_in_time(
    api: TwilioMessages, simulator: Simulator
) -> None:
    wanted, began = command(recipient=Magic.ACCEPTED_HANG.number), time.monotonic()
    assert isinstance(await send(api, wanted), Ambiguous)
    assert READ_TIMEOUT_S <= time.monotonic() - began < READ_TIMEOUT_S + SLACK_S
    assert simulator.accepted()[wanted.command_id]


async def test_a_call_whose_moment_has_passed_is_not_made(api: TwilioMessages, simulator: Simulator) -> None:
    await send(api, command())
    on_a_used_connection, on_a_new_one = command(), command()
    assert await send(api, on_a_used_connection, within_s=-0.001) == NotSent("not begun in time")
    fresh = TwilioMessages(simulator.account(), 1)
    try:
        assert await send(fresh, on_a_new_one, within_s=-0.001) == NotSent("not begun in time")
    finally:
        await fresh.close()
    assert simulator.requests(on_a_used_connection.command_id, on_a_new_one.command_id) == []


async def test_a_call_that_comes_too_late_leaves_its_connection_to_the_next(simulator: Simulator) -> None:
    api = TwilioMessages(simulator.account(), 1)
    try:
        for _ in range(3):
            assert isinstance(await send(api, command(), within_s=-1), NotSent)
        assert isinstance(await send(api, command()), Accepted)
    finally:
        await api.close()


async def test_a_messaging_service_sends_by_its_numbers(api: TwilioMessages, simulator: Simulator) -> None:
    wanted = command(sender=SERVICE)
    told = await send(api, wanted)
    assert isinstance(told, Accepted)
    assert told.status == "accepted"
    [seen] = simulator.requests(wanted.command_id)
    assert seen.sender == SERVICE


async def test_a_template_is_accepted_by_the_provider(api: TwilioMessages, simulator: Simulator) -> None:
    template = "HX" + "1" * 32
    wanted = command(
        channel=Channel.WHATSAPP, content_sid=template, content_variables={"1": "x"}, sender="+14155238886"
    )
    assert isinstance(await send(api, wanted), Accepted)
    [seen] = simulator.requests(wanted.command_id)
    assert (seen.content_sid, seen.to) == (template, "whatsapp:+12025550123")


async def test_characters_beyond_ascii_arrive_as_they_are(api: TwilioMessages, simulator: Simulator) -> None:
    wanted = command(body="Grüße & 100% 🚚 +1 =")
    await send(api, wanted)
    [seen] = simulator.requests(wanted.command_id)
    assert seen.body_sha256 == text_digest("Grüße & 100% 🚚 +1 =")


async def test_many_calls_at_once_keep_their_answers_apart(api: TwilioMessages, simulator: Simulator) -> None:
    wanted = [command(body=f"text {number}") for number in range(50)]
    told = await asyncio.gather(*(send(api, each) for each in wanted))
    made = simulator.accepted()
    assert [[each.sid] for each in told if isinstance(each, Accepted)] == [
        made[each.command_id] for each in wanted
    ]
