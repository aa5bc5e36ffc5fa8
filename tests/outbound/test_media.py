"""What is known of media before they are sent, and that only public places are asked."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from schemas.vocabulary import Channel
from sinks.outbound import media as media_module
from sinks.outbound.media import MediaCheck, Medium, objection
from sinks.outbound.provider import Accepted, Rejected
from sinks.outbound.twilio_api import TwilioMessages
from tests.ingress.closed_port import closed_port
from tests.outbound.examples import command
from tests.outbound.misbehaving import says_nothing, serving
from tests.outbound.scripted import answer, answering
from tests.outbound.simulator import account_at

pytestmark = pytest.mark.anyio
MB = 1024 * 1024


def image(size: int | None) -> Medium:
    return Medium(content_type="image/png", size=size)


def video(size: int) -> Medium:
    return Medium(content_type="video/mp4", size=size)


@pytest.mark.parametrize(
    ("channel", "media"),
    [
        (Channel.MMS, (image(5 * MB),)),
        (Channel.MMS, (video(500 * 1024),)),
        (Channel.MMS, (Medium(), image(None))),
        (Channel.WHATSAPP, (video(11 * MB), image(5 * MB))),
        (Channel.RCS, (video(16 * MB),)),
    ],
)
def test_what_the_channel_takes_is_not_objected_to(channel: Channel, media: tuple[Medium, ...]) -> None:
    assert objection(channel, media) is None


@pytest.mark.parametrize(
    ("channel", "media", "why"),
    [
        (Channel.MMS, (image(1), image(5 * MB + 1)), "medium 2 "),
        (Channel.MMS, (video(500 * 1024 + 1),), "512000 are allowed"),
        (Channel.SMS, (Medium(gone=True),), "not there"),
        (Channel.WHATSAPP, (image(5 * MB + 1),), "5242880 are allowed"),
        (Channel.WHATSAPP, (video(15 * MB), video(2 * MB)), "the media have"),
        (Channel.RCS, (video(16 * MB + 1),), "the media have"),
    ],
)
def test_what_it_does_not_take_is_objected_to_with_the_reason(
    channel: Channel, media: tuple[Medium, ...], why: str
) -> None:
    assert why in (objection(channel, media) or "")


def head(status: int, kind: str, size: int) -> bytes:
    return f"HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()


async def objection_to(*urls: str, anywhere: bool = True) -> str | None:
    check = MediaCheck(anywhere=anywhere)
    try:
        return await check.objection(Channel.MMS, urls)
    finally:
        await check.close()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (head(200, "image/png", 1000), None),
        (head(200, "image/png; x=y", 6 * MB), "6291456 bytes"),
        (head(200, "application/pdf", MB), "1048576 bytes"),
        (head(404, "text/html", 0), "not there"),
        (head(405, "text/html", 9 * MB), None),
        (head(302, "text/html", 9 * MB), None),
        (head(500, "text/html", 9 * MB), None),
        (b"SSH-2.0\r\n", None),
        (b"", None),
    ],
)
async def test_only_what_is_told_counts_against_a_medium(told: bytes, why: str | None) -> None:
    async with answering(told) as server:
        found = await objection_to(f"{server.url}/a.png")
    assert server.heads[0].startswith("HEAD /a.png ")
    assert (found is None) if why is None else (why in (found or ""))


async def test_who_does_not_answer_is_not_waited_for_longer_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_module, "_WAIT_S", 0.2)
    began = time.monotonic()
    async with serving(says_nothing) as url:
        assert (
            await objection_to(url, f"http://127.0.0.1:{closed_port().rpartition(':')[2]}", "no url") is None
        )
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_only_public_places_are_asked(host: str) -> None:
    async with answering(head(404, "text/html", 0)) as server:
        port = server.url.rpartition(":")[2]
        assert await objection_to(f"http://{host}:{port}/", anywhere=False) is None
        assert server.heads == []


CREATED = answer(201, json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}))


@pytest.mark.parametrize("checks", [True, False])
async def test_media_are_looked_at_only_where_it_is_switched_on(checks: bool) -> None:
    async with answering(head(404, "text/html", 0)) as shelf, answering(CREATED) as twilio:
        account = msgspec.structs.replace(account_at(twilio.url), check_media=checks)
        api = TwilioMessages(account, 1)
        if checks:
            assert api._media is not None
            api._media._anywhere = True
        try:
            wanted = command(channel=Channel.MMS, media_urls=(f"{shelf.url}/a.png",))
            told = await api.send(wanted, "http://127.0.0.1:9/?n=n&a=1", time.monotonic() + 5)
        finally:
            await api.close()
    assert isinstance(told, Rejected if checks else Accepted)
    assert bool(twilio.heads) is not checks
    assert bool(shelf.heads) is checks
