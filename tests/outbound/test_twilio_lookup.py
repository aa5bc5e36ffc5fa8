"""What the simulated provider is asked afterwards: messages to a person, the status of one, its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import requests

from sandbox.carrier.magic import Magic
from schemas.identity import text_digest
from schemas.records import JournalEntry, OutboundCommand
from schemas.vocabulary import Channel, CommandKind
from sinks.outbound.provider import Accepted, Canceled, LookupFailed, TooLate, Unknown
from sinks.outbound.twilio_api import TwilioMessages
from tests.outbound.examples import SENDER, command, entry, now_ms
from tests.outbound.simulator import ACCOUNT, KEY, SECRET, SERVICE, SERVICE_NUMBER, Simulator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(simulator: Simulator) -> AsyncIterator[TwilioMessages]:
    messages = TwilioMessages(simulator.account(), 8)
    yield messages
    await messages.close()


def doubt(sender: str, recipient: str, channel: str = "sms") -> JournalEntry:
    return entry(sender=sender, recipient=recipient, channel=Channel(channel))


async def sent(api: TwilioMessages, wanted: OutboundCommand) -> str:
    told = await api.send(wanted, "http://127.0.0.1:9/?n=x&a=1", time.monotonic() + 5)
    assert isinstance(told, Accepted)
    return told.sid


async def test_messages_to_a_person_are_found_by_sender_text_and_time_also_while_they_wait(
    api: TwilioMessages,
) -> None:
    recipient, before = "+12025550201", now_ms()
    first = await sent(api, command(recipient=recipient, body="one"))
    second = await sent(api, command(recipient=recipient, body="two"))
    await sent(api, command(recipient=recipient, sender="+15005550005", body="other sender"))
    await sent(api, command(recipient="+12025550202", body="other person"))
    found = await api.find(doubt(SENDER, recipient), before)
    assert {(each.sid, each.content_digest) for each in found} == {
        (first, text_digest("one")),
        (second, text_digest("two")),
    }
    assert all(before - 1000 <= each.created_at <= now_ms() for each in found)


async def test_messages_from_before_are_not_listed(api: TwilioMessages) -> None:
    recipient = "+12025550203"
    await sent(api, command(recipient=recipient))
    assert await api.find(doubt(SENDER, recipient), now_ms() + 60_000) == ()


async def test_what_was_accepted_without_an_answer_is_found(
    api: TwilioMessages, simulator: Simulator
) -> None:
    wanted, before = command(recipient=Magic.ACCEPTED_RESET.number, body="found again"), now_ms()
    await api.send(wanted, f"http://127.0.0.1:9/?n={wanted.notification_id}&a=1", time.monotonic() + 5)
    found = await api.find(doubt(SENDER, wanted.recipient), before)
    assert simulator.accepted()[wanted.command_id] == [
        each.sid for each in found if each.content_digest == text_digest("found again")
    ]


async def test_a_messaging_services_message_is_found_also_when_its_number_is_chosen(
    api: TwilioMessages,
) -> None:
    recipient, before = "+12025550204", now_ms()
    sid = await sent(api, command(recipient=recipient, sender=SERVICE))
    assert [each.sid for each in await api.find(doubt(SERVICE, recipient), before)] == [sid]
    await ended(api, command(recipient=recipient, sender=SERVICE, sid=sid))
    assert [each.sid for each in await api.find(doubt(SERVICE, recipient), before)] == [sid]


async def test_a_whatsapp_message_is_found_by_its_channel_only(api: TwilioMessages) -> None:
    recipient, before, sender = "+12025550205", now_ms(), "+14155238886"
    sid = await sent(api, command(recipient=recipient, sender=sender, channel=Channel.WHATSAPP))
    assert [each.sid for each in await api.find(doubt(sender, recipient, "whatsapp"), before)] == [sid]
    assert await api.find(doubt(sender, recipient), before) == ()


async def ended(api: TwilioMessages, wanted: OutboundCommand) -> None:
    """Wait until the message has a final status."""
    for _ in range(500):
        status = await api.fetch(wanted)
        assert status is not None
        if status.status in ("delivered", "undelivered", "failed"):
            return
    raise AssertionError(f"{wanted.sid} did not end")


async def test_a_message_is_fetched_as_a_status_of_its_attempt(api: TwilioMessages) -> None:
    wanted = command(recipient=Magic.UNREACHABLE.number, attempt=2)
    asks = command(
        notification_id=wanted.notification_id,
        attempt=2,
        kind=CommandKind.FETCH,
        recipient=wanted.recipient,
        sid=await sent(api, wanted),
    )
    await ended(api, asks)
    status = await api.fetch(asks)
    assert status is not None
    assert (status.notification_id, status.attempt, status.message_sid) == (
        wanted.notification_id,
        2,
        asks.sid,
    )
    assert (status.status, status.error_code, status.source) == ("undelivered", 30003, "poll")
    assert (status.account_sid, status.recipient, status.sender) == (ACCOUNT, wanted.recipient, SENDER)
    assert (status.segments, status.provider) == (1, "twilio")


async def test_the_same_status_fetched_twice_is_the_same_event(api: TwilioMessages) -> None:
    asks = command(recipient=Magic.DELIVERED.number, sid=None)
    asks = command(recipient=Magic.DELIVERED.number, sid=await sent(api, asks))
    await ended(api, asks)
    one, two = await api.fetch(asks), await api.fetch(asks)
    assert one is not None
    assert two is not None
    assert one.event_id == two.event_id


async def test_the_number_a_service_chose_is_told_as_the_sender(api: TwilioMessages) -> None:
    asks = command(recipient="+12025550207", sender=SERVICE)
    asks = command(recipient="+12025550207", sender=SERVICE, sid=await sent(api, asks))
    await ended(api, asks)
    status = await api.fetch(asks)
    assert status is not None
    assert status.sender == SERVICE_NUMBER


async def test_a_message_the_provider_does_not_know_is_none(api: TwilioMessages) -> None:
    assert await api.fetch(command(sid="SM" + "0" * 32)) is None


async def scheduled(simulator: Simulator, wanted: OutboundCommand) -> str:
    """A message that waits at the provider for its time, as an account's own rules may make it."""
    form = {
        "To": wanted.recipient,
        "MessagingServiceSid": SERVICE,
        "Body": "later",
        "ScheduleType": "fixed",
        "SendAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    url = f"{simulator.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    made = await asyncio.to_thread(requests.post, url, data=form, auth=(KEY, SECRET), timeout=10)
    assert made.json()["status"] == "scheduled"
    return str(made.json()["sid"])


async def test_a_message_that_waits_at_the_provider_is_canceled_there(
    api: TwilioMessages, simulator: Simulator
) -> None:
    asks = command(recipient="+12025550209", sender=SERVICE, kind=CommandKind.CANCEL)
    asks = msgspec.structs.replace(asks, sid=await scheduled(simulator, asks))
    told = await api.cancel(asks)
    assert isinstance(told, Canceled)
    assert (told.status.status, told.status.message_sid) == ("canceled", asks.sid)
    status = await api.fetch(asks)
    assert status == msgspec.structs.replace(told.status, received_at=status.received_at if status else 0)


async def test_a_message_that_was_sent_is_not_canceled_any_more(api: TwilioMessages) -> None:
    asks = command(recipient=Magic.DELIVERED.number)
    asks = command(recipient=Magic.DELIVERED.number, sid=await sent(api, asks))
    assert await api.cancel(asks) == TooLate(30409)


async def test_a_message_that_nobody_knows_is_not_canceled(api: TwilioMessages) -> None:
    assert await api.cancel(command(sid="SM" + "0" * 32)) == TooLate(20404)


async def test_wrong_credentials_leave_open_what_became_of_a_message(simulator: Simulator) -> None:
    account = msgspec.structs.replace(simulator.account(), password="wrong")
    api = TwilioMessages(account, 1)
    try:
        assert isinstance(await api.cancel(command(sid="SM" + "0" * 32)), Unknown)
        with pytest.raises(LookupFailed):
            await api.fetch(command(sid="SM" + "0" * 32))
        with pytest.raises(LookupFailed):
            await api.find(doubt(SENDER, "+12025550210"), 0)
    finally:
        await api.close()
