"""Look-ups, fetches and cancellations, answered with all that is no answer: nothing is concluded from it."""

from __future__ import annotations

import json
import traceback
from email.utils import formatdate
from typing import Any

import pytest

from schemas.records import ProviderStatus
from schemas.vocabulary import Channel, CommandKind, ErrorClass
from sinks.outbound.provider import (
    CancelAnswer,
    Canceled,
    Concern,
    FoundMessage,
    LookupFailed,
    TooLate,
    Unknown,
)
from sinks.outbound.twilio_api import TwilioMessages
from streams.policy import DEFAULTS, AddressRetention, ContentRetention, Policies, Sending, TenantPolicy
from tests.ingress.closed_port import closed_port
from tests.outbound.examples import RECIPIENT, SENDER, command, entry, now_ms
from tests.outbound.misbehaving import says_nothing, serving
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import ACCOUNT, SERVICE, account_at

pytestmark = pytest.mark.anyio
SID = "SM" + "a" * 32
ASKS = command(kind=CommandKind.FETCH, sid=SID, attempt=2)
NO_ANSWER = {
    "a page": answer(200, "<html>", kind="text/html"),
    "refused": answer(401, '{"code": 20003, "message": "m", "status": 401}'),
    "an error": answer(500, '{"code": 20500, "message": "m", "status": 500}'),
    "too many": answer(429, '{"code": 20429, "message": "m", "status": 429}'),
    "a redirect": answer(307, "", headers="Location: http://127.0.0.1:9/\r\n"),
    "a list of nothing known": answer(200, "[]"),
    "an empty object": answer(200, "{}"),
    "cut off": answer(200, '{"sid": "SM", "messages": []}')[:-5],
    "nothing": b"",
}


def resource(**changes: Any) -> dict[str, Any]:
    return {
        "sid": SID,
        "account_sid": ACCOUNT,
        "messaging_service_sid": None,
        "from": SENDER,
        "body": "text",
        "status": "sent",
        "error_code": None,
        "num_segments": "1",
        "date_created": formatdate(1_700_000_000),
        **changes,
    }


def listed(*messages: dict[str, Any]) -> bytes:
    return answer(200, json.dumps({"messages": messages, "page_size": 50, "next_page_uri": None}))


def many(count: int, at_ms: int) -> bytes:
    made = formatdate(at_ms / 1000)
    return listed(*(resource(sid=f"SM{number:032x}", date_created=made) for number in range(count)))


async def found_in(page: bytes, since: int = 0, policies: Policies = DEFAULTS) -> tuple[FoundMessage, ...]:
    async with answering(page) as server:
        api = TwilioMessages(account_at(server.url), 1, policies)
        try:
            return await api.find(entry(), since)
        finally:
            await api.close()


async def fetched(page: bytes, **changes: Any) -> ProviderStatus | None:
    async with answering(page) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            return await api.fetch(command(kind=CommandKind.FETCH, sid=SID, **changes))
        finally:
            await api.close()


async def canceled(page: bytes, sid: str | None = SID) -> CancelAnswer:
    async with answering(page) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            return await api.cancel(command(kind=CommandKind.CANCEL, sid=sid, attempt=2))
        finally:
            await api.close()


# -- find -----------------------------------------------------------------------------------------------


async def test_a_list_that_may_be_cut_proves_nothing() -> None:
    """Absence is concluded from it, and the message in doubt would be among the oldest."""
    now = now_ms()
    assert len(await found_in(many(199, now), now)) == 199
    with pytest.raises(LookupFailed, match="cut"):
        await found_in(many(200, now), now - 5_000)


async def test_a_full_list_that_goes_back_far_enough_is_whole() -> None:
    now = now_ms()
    assert await found_in(many(200, now - 60_000), now) == ()


@pytest.mark.parametrize("what", NO_ANSWER)
async def test_anything_but_a_list_is_no_answer(what: str) -> None:
    with pytest.raises(LookupFailed):
        await found_in(NO_ANSWER[what])


async def test_an_account_that_is_not_found_has_not_been_searched() -> None:
    with pytest.raises(LookupFailed, match="404"):
        await found_in(answer(404, '{"code": 20404, "message": "m", "status": 404}'))


@pytest.mark.parametrize("changes", [{"date_created": None}, {"date_created": "soon"}, {"sid": None}])
async def test_a_message_in_the_list_that_cannot_be_read_is_not_passed_over(changes: dict[str, Any]) -> None:
    with pytest.raises(LookupFailed):
        await found_in(listed(resource(**changes)))


async def test_where_addresses_are_not_kept_an_empty_list_proves_nothing() -> None:
    """Nobody says what the list's filter by recipient finds there."""
    hidden = Policies(
        tenants={"acme": TenantPolicy(sending=Sending(address_retention=AddressRetention.OBFUSCATE))}
    )
    with pytest.raises(LookupFailed, match="addresses"):
        await found_in(listed(), policies=hidden)
    assert await found_in(listed()) == ()


async def test_a_text_that_was_not_kept_is_found_as_another_text() -> None:
    """So it stands against the proof of absence, and its command is held."""
    gone = Policies(
        tenants={"acme": TenantPolicy(sending=Sending(content_retention=ContentRetention.DISCARD))}
    )
    [found] = await found_in(listed(resource(body="")), policies=gone)
    assert found.content_digest != entry().content_digest


# -- fetch ----------------------------------------------------------------------------------------------


async def test_a_status_is_told_with_its_attempt() -> None:
    page = answer(200, json.dumps(resource(status="undelivered", error_code=30003, price="-0.0079")))
    status = await fetched(page, attempt=2)
    assert status is not None
    assert (status.status, status.error_code, status.attempt, status.price) == (
        "undelivered", 30003, 2, "-0.0079",
    )  # fmt: skip


async def test_a_message_that_twilio_does_not_know_is_none() -> None:
    assert await fetched(answer(404, '{"code": 20404, "message": "m", "status": 404}')) is None


@pytest.mark.parametrize("what", NO_ANSWER)
async def test_anything_but_a_message_is_no_status(what: str) -> None:
    with pytest.raises(LookupFailed):
        await fetched(NO_ANSWER[what])


@pytest.mark.parametrize(
    "changes",
    [
        {"sid": "SM" + "b" * 32},
        {"status": None},
        {"status": 7},
        {"error_code": "x"},
        {"num_segments": "many"},
    ],
)
async def test_a_message_that_cannot_be_read_or_is_another_is_no_status(changes: dict[str, Any]) -> None:
    with pytest.raises(LookupFailed):
        await fetched(answer(200, json.dumps(resource(**changes))))


@pytest.mark.parametrize("sid", [None, "", "SM1", "../../Accounts", "MG" + "0" * 32])
async def test_nothing_but_a_messages_sid_becomes_a_part_of_the_path(sid: str | None) -> None:
    async with answering(answer(200, json.dumps(resource()))) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            with pytest.raises(LookupFailed):
                await api.fetch(command(sid=sid))
            assert await api.cancel(command(sid=sid)) == TooLate(None)
        finally:
            await api.close()
        assert server.heads == []


async def test_a_provider_that_is_away_is_a_failed_look_up() -> None:
    api = TwilioMessages(account_at(f"http://{closed_port()}"), 1)
    try:
        with pytest.raises(LookupFailed):
            await api.fetch(ASKS)
        with pytest.raises(LookupFailed):
            await api.find(entry(), 0)
        assert isinstance(await api.cancel(ASKS), Unknown)
    finally:
        await api.close()


async def test_a_provider_that_says_nothing_is_given_up() -> None:
    async with serving(says_nothing) as url:
        api = TwilioMessages(account_at(url, connect_timeout_s=0.2, read_timeout_s=0.2), 1)
        try:
            with pytest.raises(LookupFailed):
                await api.fetch(ASKS)
            assert isinstance(await api.cancel(ASKS), Unknown)
        finally:
            await api.close()


async def test_a_failed_look_up_repeats_nothing_of_what_it_was_told() -> None:
    refusal = answer(400, json.dumps({"code": 21211, "message": f"about {RECIPIENT} and a text"}))
    with pytest.raises(LookupFailed) as failed:
        await found_in(refusal)
    told = "".join(traceback.format_exception(failed.value))
    assert failed.value.__cause__ is None
    assert RECIPIENT not in told
    assert "a text" not in told


# -- cancel ---------------------------------------------------------------------------------------------


async def test_a_canceled_message_is_told_as_a_status_of_its_attempt() -> None:
    told = await canceled(answer(200, json.dumps(resource(status="canceled"))))
    assert isinstance(told, Canceled)
    assert (told.status.status, told.status.message_sid, told.status.attempt) == ("canceled", SID, 2)


@pytest.mark.parametrize(("status", "code"), [(400, 30409), (409, 30409), (404, 20404), (400, 20001)])
async def test_a_refusal_to_cancel_is_final(status: int, code: int) -> None:
    page = answer(status, json.dumps({"code": code, "message": "m", "status": status}))
    assert await canceled(page) == TooLate(code)


@pytest.mark.parametrize("what", NO_ANSWER)
async def test_anything_but_a_word_on_it_leaves_a_cancellation_unknown(what: str) -> None:
    assert isinstance(await canceled(NO_ANSWER[what]), Unknown)


async def test_a_message_that_goes_on_is_not_called_canceled() -> None:
    assert await canceled(answer(200, json.dumps(resource(status="scheduled")))) == Unknown("it is scheduled")


# -- codes ----------------------------------------------------------------------------------------------


async def test_a_code_of_a_status_means_what_it_means_in_a_refusal_except_for_one_number_of_a_service() -> (
    None
):
    api = TwilioMessages(account_at("http://127.0.0.1:9"), 1)
    try:
        assert api.verdict(30034, SENDER)[:2] == (ErrorClass.CONFIGURATION, Concern.SENDER)
        assert api.verdict(30034, SERVICE)[:2] == (ErrorClass.CONFIGURATION, Concern.DESTINATION)
    finally:
        await api.close()


async def test_a_whatsapp_message_is_asked_for_by_its_channels_address() -> None:
    async with answering(listed()) as server:
        api = TwilioMessages(account_at(server.url), 1)
        try:
            await api.find(entry(channel=Channel.WHATSAPP), 0)
        finally:
            await api.close()
    assert "To=whatsapp:%2B12025550123" in server.heads[0].replace("%3A", ":")
