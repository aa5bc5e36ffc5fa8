"""What the provider is asked afterwards: messages to a person, and the status of one that went quiet."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest

from sandbox.carrier.magic import Magic
from schemas.identity import text_digest
from schemas.records import OutboundCommand
from schemas.vocabulary import Channel, CommandKind
from sinks.outbound.provider import Accepted, LookupFailed
from sinks.outbound.twilio_api import TwilioMessages
from tests.ingress.closed_port import closed_port
from tests.outbound.examples import SENDER, command, now_ms
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import ACCOUNT, SERVICE, SERVICE_NUMBER, Simulator, account_at

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(simulator: Simulator) -> AsyncIterator[TwilioMessages]:
    messages = TwilioMessages(simulator.account(), 8)
    yield messages
    await messages.close()


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
    found = await api.find(SENDER, recipient, "sms", before)
    assert {(each.sid, each.content_digest) for each in found} == {
        (first, text_digest("one")),
        (second, text_digest("two")),
    }
    assert all(before - 1000 <= each.created_at <= now_ms() for each in found)


async def test_messages_from_before_are_not_listed(api: TwilioMessages) -> None:
    recipient = "+12025550203"
    await sent(api, command(recipient=recipient))
    assert await api.find(SENDER, recipient, "sms", now_ms() + 60_000) == ()


async def test_what_was_accepted_without_an_answer_is_found(
    api: TwilioMessages, simulator: Simulator
) -> None:
    wanted, before = command(recipient=Magic.ACCEPTED_RESET.number, body="found again"), now_ms()
    await api.send(wanted, f"http://127.0.0.1:9/?n={wanted.notification_id}&a=1", time.monotonic() + 5)
    found = await api.find(SENDER, wanted.recipient, "sms", before)
    assert simulator.accepted()[wanted.command_id] == [
        each.sid for each in found if each.content_digest == text_digest("found again")
    ]


async def test_a_messaging_services_message_is_found_also_when_its_number_is_chosen(
    api: TwilioMessages,
) -> None:
    recipient, before = "+12025550204", now_ms()
    sid = await sent(api, command(recipient=recipient, sender=SERVICE))
    assert [each.sid for each in await api.find(SERVICE, recipient, "sms", before)] == [sid]
    await ended(api, command(recipient=recipient, sender=SERVICE, sid=sid))
    assert [each.sid for each in await api.find(SERVICE, recipient, "sms", before)] == [sid]


async def test_a_whatsapp_message_is_found_by_its_channel_only(api: TwilioMessages) -> None:
    recipient, before, sender = "+12025550205", now_ms(), "+14155238886"
    sid = await sent(api, command(recipient=recipient, sender=sender, channel=Channel.WHATSAPP))
    assert [each.sid for each in await api.find(sender, recipient, "whatsapp", before)] == [sid]
    assert await api.find(sender, recipient, "sms", before) == ()


def listed(count: int, at_ms: int) -> bytes:
    message = {
        "account_sid": ACCOUNT,
        "messaging_service_sid": None,
        "from": SENDER,
        "body": "text",
        "date_created": formatdate(at_ms / 1000),
    }
    messages = [message | {"sid": f"SM{number:032x}"} for number in range(count)]
    return answer(200, json.dumps({"messages": messages, "page_size": count, "next_page_uri": None}))


async def test_a_list_that_may_be_cut_proves_nothing() -> None:
    """Absence is concluded from it, and the message in doubt would be among the oldest."""
    now = now_ms()
    assert len(await found_in(listed(199, now), now)) == 199
    with pytest.raises(LookupFailed, match="cut"):
        await found_in(listed(200, now), now - 5_000)


async def test_a_full_list_that_goes_back_far_enough_is_whole() -> None:
    now = now_ms()
    assert await found_in(listed(200, now - 60_000), now) == ()


async def found_in(page: bytes, since: int) -> tuple[object, ...]:
    async with answering(page) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            return await api.find(SENDER, "+12025550206", "sms", since)
        finally:
            await api.close()


NO_LIST = {
    "a page": answer(200, "<html>", kind="text/html"),
    "not found": answer(404, '{"code": 20404, "message": "m", "status": 404}'),
    "refused": answer(401, '{"code": 20003, "message": "m", "status": 401}'),
    "an error": answer(500, '{"code": 20500, "message": "m", "status": 500}'),
    "too many": answer(429, '{"code": 20429, "message": "m", "status": 429}'),
    "a list of nothing known": answer(200, "[]"),
    "an object without messages": answer(200, "{}"),
    "cut off": listed(3, 0)[:-20],
    "nothing": b"",
}


@pytest.mark.parametrize("what", NO_LIST)
async def test_anything_but_a_list_is_no_answer(what: str) -> None:
    with pytest.raises(LookupFailed):
        await found_in(NO_LIST[what], 0)


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


async def test_a_provider_that_is_away_is_a_failed_look_up() -> None:
    api = TwilioMessages(account_at(f"http://{closed_port()}"), 1)
    try:
        with pytest.raises(LookupFailed):
            await api.fetch(command(sid="SM" + "0" * 32))
        with pytest.raises(LookupFailed):
            await api.find(SENDER, "+12025550208", "sms", 0)
    finally:
        await api.close()


async def test_a_failed_look_up_repeats_nothing_of_what_it_was_told() -> None:
    refusal = answer(400, '{"code": 21211, "message": "about +12025550123 and a text", "status": 400}')
    with pytest.raises(LookupFailed) as failed:
        await found_in(refusal, 0)
    told = "".join(traceback.format_exception(failed.value))
    assert failed.value.__cause__ is None
    assert "+12025550123" not in told
    assert "a text" not in told
