"""Every way a create request can end: what may have been sent is never called unsent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from sandbox.carrier.magic import REFUSED_RECIPIENTS, REFUSED_SENDERS, Magic
from schemas.identity import command_id, text_digest
from schemas.records import OutboundCommand
from schemas.vocabulary import Channel
from sinks.outbound.provider import Accepted, Ambiguous, NotSent, Rejected, SendAnswer
from sinks.outbound.twilio_api import TwilioMessages
from tests.ingress.closed_port import closed_port
from tests.outbound.examples import BODY, command, now_ms
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import SERVICE, Simulator, account_at, command_of

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


async def test_the_wait_that_a_429_names_is_passed_on() -> None:
    busy = answer(429, '{"code": 20429, "message": "m", "status": 429}', headers="Retry-After: 7\r\n")
    assert await told_by(busy) == NotSent("throttled (429)", True, 7.0)


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


async def test_nobody_at_the_address_means_not_sent() -> None:
    api = TwilioMessages(account_at(f"http://{closed_port()}"), 1)
    try:
        assert isinstance(await send(api, command()), NotSent)
    finally:
        await api.close()


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


PAGE = "<html><body>It works, or perhaps it does not</body></html>"
BROKEN = {
    "a page with 200": answer(200, PAGE, kind="text/html"),
    "a page with 201": answer(201, PAGE, kind="text/html"),
    "a page with 403": answer(403, PAGE, kind="text/html"),
    "a page with 404": answer(404, PAGE, kind="text/html"),
    "a page with 502": answer(502, PAGE, kind="text/html"),
    "a redirect": answer(307, "", headers="Location: http://127.0.0.1:9/\r\n"),
    "a refusal without a code": answer(400, '{"message": "no", "status": 400}'),
    "a refusal that is a list": answer(400, "[1, 2]"),
    "a server error with a code": answer(500, '{"code": 21211, "message": "m", "status": 500}'),
    "created without a sid": answer(201, '{"status": "queued"}'),
    "created, but a list": answer(201, "[]"),
    "created, but a number": answer(201, "7"),
    "created, with impossible dates": answer(201, '{"sid": 5, "date_created": "soon"}'),
    "created, in no known encoding": answer(201, b'\xff\xfe{"sid": "SM1"}'),
    "created, and then cut off": answer(201, '{"sid": "SM00", "status": "queued"}')[:-10],
    "half a head": b"HTTP/1.1 201 Crea",
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
}


async def told_by(*pieces: bytes, pause_s: float = 0.0, read_timeout_s: float = 5.0) -> SendAnswer:
    async with answering(*pieces, pause_s=pause_s) as server:
        api = TwilioMessages(account_at(server.url, connect_timeout_s=1, read_timeout_s=read_timeout_s), 1)
        try:
            return await send(api, command())
        finally:
            await api.close()


@pytest.mark.parametrize("what", BROKEN)
async def test_an_answer_that_is_not_twilios_may_have_been_a_yes(what: str) -> None:
    assert isinstance(await told_by(BROKEN[what]), Ambiguous)


async def test_a_refusal_in_twilios_words_is_one_whatever_else_the_answer_says() -> None:
    refusal = answer(400, '{"code": 21610, "message": "m", "more_info": "u", "status": 400}')
    assert await told_by(refusal) == Rejected(21610, "HTTP 400, code 21610", None)


async def test_an_answer_that_drips_does_not_outlast_the_two_time_outs() -> None:
    whole = answer(201, '{"sid": "SM00", "status": "queued"}')
    began = time.monotonic()
    told = await told_by(*(whole[at : at + 1] for at in range(len(whole))), pause_s=0.2, read_timeout_s=0.5)
    assert isinstance(told, Ambiguous)
    assert time.monotonic() - began < 1.5 + SLACK_S


async def form_of(wanted: OutboundCommand) -> dict[str, list[str]]:
    async with answering(answer(201, '{"sid": "SM00", "status": "queued"}')) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            assert isinstance(await send(api, wanted), Accepted)
        finally:
            await api.close()
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


async def test_a_messaging_service_sends_by_its_numbers(api: TwilioMessages, simulator: Simulator) -> None:
    wanted = command(sender=SERVICE)
    told = await send(api, wanted)
    assert isinstance(told, Accepted)
    assert told.status == "accepted"
    [seen] = simulator.requests(wanted.command_id)
    assert seen.sender == SERVICE


async def test_every_attachment_is_a_parameter_of_its_own() -> None:
    urls = ("https://example.com/a.png", "https://example.com/b.png?x=1&y=2")
    form = await form_of(command(channel=Channel.MMS, media_urls=urls))
    assert form["MediaUrl"] == list(urls)
    assert form["Body"] == [BODY]


async def test_attachments_go_without_a_text() -> None:
    form = await form_of(command(body=None, media_urls=("https://example.com/a.png",)))
    assert "Body" not in form


async def test_a_template_goes_with_its_variables_and_without_a_text() -> None:
    template = "HX" + "0" * 32
    form = await form_of(command(content_sid=template, content_variables={"1": "Žofie", "2": 'a "b"'}))
    assert form["ContentSid"] == [template]
    assert form["ContentVariables"] == ['{"1": "\\u017dofie", "2": "a \\"b\\""}']
    assert "Body" not in form


async def test_a_template_is_accepted_by_the_provider(api: TwilioMessages, simulator: Simulator) -> None:
    template = "HX" + "1" * 32
    wanted = command(
        channel=Channel.WHATSAPP, content_sid=template, content_variables={"1": "x"}, sender="+14155238886"
    )
    assert isinstance(await send(api, wanted), Accepted)
    [seen] = simulator.requests(wanted.command_id)
    assert (seen.content_sid, seen.to) == (template, "whatsapp:+12025550123")


async def test_what_is_worthless_soon_is_not_tried_for_longer_than_that() -> None:
    [left] = (await form_of(command(not_after=now_ms() + 90_500)))["ValidityPeriod"]
    assert 85 <= int(left) <= 90


async def test_what_is_good_for_days_takes_the_providers_longest_period() -> None:
    form = await form_of(command(not_after=now_ms() + 3 * 86_400_000))
    assert "ValidityPeriod" not in form


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


@pytest.mark.parametrize("wanted", [True, False])
async def test_characters_are_replaced_only_where_the_count_assumes_it(wanted: bool) -> None:
    async with answering(answer(400, "{}")) as provider:
        messages = TwilioMessages(account_at(provider.url), 1)
        await send(messages, command(smart_encoded=wanted))
        await messages.close()
    (form,) = provider.forms
    assert form.get("SmartEncoded") == (["true"] if wanted else None)
