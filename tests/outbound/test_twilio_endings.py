"""Every way a create request can end, on real sockets: what may have been sent is never called unsent."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import ErrorClass
from sinks.outbound.provider import Accepted, Ambiguous, Concern, NotSent, Rejected, SendAnswer
from sinks.outbound.twilio_api import TwilioMessages
from sinks.outbound.twilio_endings import broken, code_of_twilio, refused
from sinks.outbound.twilio_http import Call
from streams.error_codes import classify
from tests.ingress.closed_port import closed_port
from tests.outbound import misbehaving
from tests.outbound.examples import command
from tests.outbound.misbehaving import Serve, serving
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import account_at
from tests.streams.test_error_codes import CODES as DOCUMENTED

pytestmark = pytest.mark.anyio
SID = "SM" + "0" * 32
CREATED = json.dumps({"sid": SID, "status": "queued"})
# What a shared machine may add to a time-out.
SLACK_S = 2.0


async def told_at(
    url: str, *, connect_s: float = 2.0, read_s: float = 5.0, within_s: float = 5.0
) -> SendAnswer:
    api = TwilioMessages(account_at(url, connect_timeout_s=connect_s, read_timeout_s=read_s), 1)
    try:
        return await api.send(command(), "http://127.0.0.1:9/?n=n&a=1", time.monotonic() + within_s)
    finally:
        await api.close()


async def told_by(*pieces: bytes, pause_s: float = 0.0, read_s: float = 5.0) -> SendAnswer:
    async with answering(*pieces, pause_s=pause_s) as server:
        return await told_at(server.url, read_s=read_s)


def error(status: int, code: object = None, headers: str = "") -> bytes:
    """An error in Twilio's form, with a code or without."""
    body: dict[str, object] = {"message": "m", "status": status}
    return answer(status, json.dumps(body if code is None else body | {"code": code}), headers=headers)


def problem(status: int, code: int, claimed: int) -> bytes:
    """An error as RFC 9457 has it; what it claims of the status need not be so."""
    body = {"type": "https://t", "title": "t", "status": claimed, "code": code}
    return answer(status, json.dumps(body), kind="application/problem+json")


PAGE = "<html><body>It works, or perhaps it does not</body></html>"
IN_DOUBT = {
    **{f"a page with {s}": answer(s, PAGE, kind="text/html") for s in (200, 201, 400, 401, 403, 404, 409)},
    **{f"a page with {s}": answer(s, PAGE, kind="text/html") for s in (408, 500, 502, 503, 504)},
    **{f"a redirect {s}": answer(s, "", headers="Location: http://a/\r\n") for s in (301, 303, 307)},
    **{f"{s} without a code": error(s) for s in (400, 401, 403, 404, 409, 500, 503)},
    **{f"{s} with a code of Twilio's": error(s, 21211) for s in (302, 408, 500, 502, 503, 504)},
    "400 with a code that tells of an outage": error(400, 20500),
    "400 with the status as its code": error(400, 400),
    "400 with a gateway's small code": error(400, 5),
    "400 with a code of six digits": error(400, 212110),
    "400 with a code that is a word": error(400, "invalid"),
    "400 with a code that is true": error(400, True),
    "400 with a list": answer(400, "[1, 2]"),
    "500 that claims to be a 400": problem(500, 21211, 400),
    "an empty 200": answer(200, ""),
    "an empty 201": answer(201, ""),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "created without a sid": answer(201, '{"status": "queued"}'),
    "created with a sid that is none": answer(201, '{"sid": "SM1", "status": "queued"}'),
    "created with another thing's sid": answer(201, json.dumps({"sid": "MG" + "0" * 32})),
    "created with a number for a sid": answer(201, '{"sid": 5, "date_created": "soon"}'),
    "created, but a list": answer(201, "[]"),
    "created, but a number": answer(201, "7"),
    "created, but null": answer(201, "null"),
    "created, in no known encoding": answer(201, b'\xff\xfe{"sid": "SM1"}'),
    "created, and then cut off": answer(201, CREATED)[:-10],
    "created, in chunks that end too soon": (
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sid\r\n"
    ),
    "created, said to be compressed": answer(201, CREATED, headers="Content-Encoding: gzip\r\n"),
    "created, and never done telling": answer(201, CREATED[:-1] + " " * 5_000_000 + "}"),
    "half a head": b"HTTP/1.1 201 Crea",
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", IN_DOUBT)
async def test_an_answer_that_is_not_twilios_no_may_have_been_a_yes(what: str) -> None:
    assert isinstance(await told_by(IN_DOUBT[what]), Ambiguous)


@pytest.mark.parametrize(
    ("pieces", "code", "error_class", "concern"),
    [
        (error(400, 21211), 21211, ErrorClass.BAD_NUMBER, Concern.MESSAGE),
        (error(400, 21610), 21610, ErrorClass.OPT_OUT, Concern.MESSAGE),
        (error(400, "21610"), 21610, ErrorClass.OPT_OUT, Concern.MESSAGE),
        (error(400, 21611), 21611, ErrorClass.RATE, Concern.SENDER),
        (error(400, 21659), 21659, ErrorClass.CONFIGURATION, Concern.SENDER),
        (error(400, 30007), 30007, ErrorClass.FILTERED, Concern.MESSAGE),
        (error(400, 29999), 29999, ErrorClass.TERMINAL, Concern.MESSAGE),
        (error(401, 20003), 20003, ErrorClass.CONFIGURATION, Concern.ACCOUNT),
        (error(403, 20003), 20003, ErrorClass.CONFIGURATION, Concern.ACCOUNT),
        (error(404, 20404), 20404, ErrorClass.CONFIGURATION, Concern.ACCOUNT),
        (error(409, 20409), 20409, ErrorClass.TERMINAL, Concern.MESSAGE),
        (problem(400, 21211, 400), 21211, ErrorClass.BAD_NUMBER, Concern.MESSAGE),
        (problem(400, 21211, 500), 21211, ErrorClass.BAD_NUMBER, Concern.MESSAGE),
    ],
)
async def test_a_refusal_in_twilios_words_is_one_with_its_code_and_what_that_means(
    pieces: bytes, code: int, error_class: ErrorClass, concern: Concern
) -> None:
    told = await told_by(pieces)
    assert isinstance(told, Rejected)
    assert (told.code, told.verdict.error_class, told.verdict.concern) == (code, error_class, concern)


@pytest.mark.parametrize(
    "pieces", [error(429, 20429), error(429), answer(429, PAGE, kind="text/html"), error(400, 20429)]
)
async def test_too_many_requests_were_never_processed(pieces: bytes) -> None:
    assert await told_by(pieces) == NotSent("throttled (429)", throttled=True)


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None)])
async def test_the_wait_that_a_429_names_is_passed_on(header: str, wait_s: float | None) -> None:
    told = await told_by(error(429, 20429, f"Retry-After: {header}\r\n"))
    assert told == NotSent("throttled (429)", throttled=True, retry_after_s=wait_s)


async def test_the_wait_that_an_outage_names_is_passed_on_with_its_status() -> None:
    told = await told_by(error(503, 20503, "Retry-After: 30\r\n"))
    assert isinstance(told, Ambiguous)
    assert (told.http_status, told.retry_after_s) == (503, 30.0)


@pytest.mark.parametrize("status", [200, 201])
async def test_a_message_with_a_sid_is_accepted_and_its_request_named(status: int) -> None:
    told = await told_by(answer(status, CREATED, headers="Twilio-Request-Id: RQ1\r\n"))
    assert told == Accepted(SID, "queued", "RQ1")


@pytest.mark.parametrize(
    "serve",
    [
        misbehaving.resets_at_once,
        misbehaving.resets_in_the_head,
        misbehaving.resets_after_the_request,
        misbehaving.closes_after_the_request,
        misbehaving.says_nothing,
        misbehaving.resets_in_the_answer,
        misbehaving.stops_in_the_answer,
    ],
)
async def test_what_breaks_once_there_is_a_connection_may_have_been_sent(serve: Serve) -> None:
    async with serving(serve) as url:
        began = time.monotonic()
        told = await told_at(url, connect_s=0.3, read_s=0.3)
    assert isinstance(told, Ambiguous)
    assert time.monotonic() - began < 0.6 + SLACK_S


async def test_an_answer_that_drips_does_not_outlast_the_two_time_outs() -> None:
    whole = answer(201, CREATED)
    began = time.monotonic()
    told = await told_by(*(whole[at : at + 1] for at in range(len(whole))), pause_s=0.2, read_s=0.5)
    assert isinstance(told, Ambiguous)
    assert time.monotonic() - began < 2.5 + SLACK_S


async def test_nobody_at_the_address_means_that_nobody_can_be_reached() -> None:
    told = await told_at(f"http://{closed_port()}")
    assert isinstance(told, NotSent)
    assert told.unreachable


async def test_a_name_that_nobody_knows_means_that_nobody_can_be_reached() -> None:
    told = await told_at("http://nobody.invalid")
    assert isinstance(told, NotSent)
    assert told.unreachable


async def test_a_connection_that_is_never_made_means_that_nobody_can_be_reached() -> None:
    with misbehaving.never_accepting() as url:
        began = time.monotonic()
        told = await told_at(url, connect_s=0.3)
    assert isinstance(told, NotSent)
    assert told.unreachable
    assert time.monotonic() - began < 0.3 + SLACK_S


@pytest.mark.parametrize("serve", [misbehaving.speaks_no_tls, misbehaving.says_nothing])
async def test_a_handshake_that_fails_is_a_connection_that_was_never_made(serve: Serve) -> None:
    async with serving(serve) as url:
        told = await told_at(url.replace("http:", "https:"), connect_s=0.3)
    assert isinstance(told, NotSent)
    assert told.unreachable


async def test_a_call_whose_moment_has_passed_is_not_made_and_blames_nobody() -> None:
    async with answering(answer(201, CREATED)) as server:
        assert await told_at(server.url, within_s=-0.001) == NotSent("not begun in time")
        assert server.heads == []


async def test_a_request_is_not_repeated_on_another_connection_when_a_kept_one_breaks() -> None:
    """HTTP libraries do that, for what they think harmless to repeat; this would be a second message."""
    asked: list[int] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await misbehaving.whole_request(reader)
        asked.append(1)
        writer.write(answer(201, CREATED))
        await misbehaving.whole_request(reader)
        asked.append(2)

    async with serving(once) as url:
        api = TwilioMessages(account_at(url), 1)
        try:
            first, second = [
                await api.send(command(), "http://127.0.0.1:9/?n=n&a=1", time.monotonic() + 5)
                for _ in range(2)
            ]
        finally:
            await api.close()
    assert isinstance(first, Accepted)
    assert isinstance(second, Ambiguous)
    assert asked == [1, 2]


async def test_nothing_but_the_sdks_own_headers_goes_out_and_no_promise_of_idempotency() -> None:
    async with answering(answer(201, CREATED)) as server:
        await told_at(server.url)
    [head] = server.heads
    names = {line.partition(":")[0].lower() for line in head.splitlines()[1:] if line}
    assert names == {
        "host", "authorization", "user-agent", "x-twilio-client", "accept-charset", "content-type",
        "accept", "accept-encoding", "content-length",
    }  # fmt: skip


CODES = st.one_of(
    st.integers(-(10**6), 10**6), st.sampled_from(sorted(DOCUMENTED)), st.text(max_size=6), st.none(),
    st.booleans(), st.floats(), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(status=st.integers(100, 599), code=CODES)
def test_nothing_is_a_refusal_but_a_4xx_with_a_code_of_twilios(status: int, code: object) -> None:
    told = refused(status, code, Call())
    known = code_of_twilio(status, code)
    if status == 429 or (known == 20429 and 400 <= status < 500 and status != 408):
        assert isinstance(told, NotSent)
        assert told.throttled
    elif known is None or not 400 <= status < 500 or status == 408 or classify(known) is ErrorClass.AMBIGUOUS:
        assert isinstance(told, Ambiguous)
    else:
        assert isinstance(told, Rejected)
        assert (told.code, told.verdict.error_class) == (known, classify(known))


@pytest.mark.parametrize(
    "failure", [TimeoutError(), ConnectionResetError(), OSError(), ValueError(), KeyError()]
)
@pytest.mark.parametrize("may_be_written", [True, False])
def test_a_failure_is_ambiguous_from_the_moment_the_request_may_be_on_its_way(
    failure: Exception, may_be_written: bool
) -> None:
    call = Call()
    call.may_be_written = may_be_written
    told = broken(failure, call)
    assert isinstance(told, Ambiguous if may_be_written else NotSent)
