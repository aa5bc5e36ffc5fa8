"""The running ingress over HTTP, on the embedded broker: what is kept, and what is refused."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from ingress.callback_url import status_callback_url
from ingress.calls import LARGEST_FORM
from schemas.identity import notification_id
from schemas.records import InboundMessage, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import Channel
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import (
    BASE,
    FORM,
    OTHER_ACCOUNT,
    OTHER_TOKENS,
    TOKEN,
    get,
    inbound_form,
    new_sid,
    post,
    sign,
    status_form,
)
from tests.servers import Server

STATUS = "/twilio/status"
INBOUND = "/twilio/inbound"


def target(notification: str, attempt: int) -> str:
    """What Twilio asks for, told our callback URL: path and query, without the fragment."""
    parts = urlsplit(status_callback_url(BASE, notification, attempt))
    return f"{parts.path}?{parts.query}"


def test_an_answered_status_is_in_the_topic_under_its_notification(
    client: httpx2.Client, written: TopicReader
) -> None:
    sid, notification = new_sid(), notification_id("acme", new_sid())
    assert post(client, target(notification, 3), status_form(sid)).status_code == 204
    [(key, record)] = written.of_sid(Topic.STATUS, ProviderStatus, sid)
    assert (key, record.notification_id, record.attempt) == (notification, notification, 3)
    assert (record.status, record.source, record.channel) == ("delivered", "callback", Channel.SMS)


def test_a_status_of_a_message_we_did_not_send_is_kept_under_its_sid(
    client: httpx2.Client, written: TopicReader
) -> None:
    sid = new_sid()
    assert post(client, STATUS, status_form(sid)).status_code == 204
    [(key, record)] = written.of_sid(Topic.STATUS, ProviderStatus, sid)
    assert (key, record.notification_id) == (sid, None)


def test_a_repeat_by_twilio_is_written_with_the_same_event_id(
    client: httpx2.Client, written: TopicReader
) -> None:
    sid, url = new_sid(), target(notification_id("acme", "r"), 1)
    for _ in range(2):
        assert post(client, url, status_form(sid)).status_code == 204
    records = [record for _, record in written.of_sid(Topic.STATUS, ProviderStatus, sid)]
    assert len(records) == 2
    assert len({record.event_id for record in records}) == 1


def test_an_inbound_message_is_answered_with_empty_twiml_and_kept_under_the_person(
    client: httpx2.Client, written: TopicReader
) -> None:
    sid, body = new_sid(), "Grüße ☃ 100% & more=+1"
    answer = post(client, INBOUND, inbound_form(sid, body))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    [(key, record)] = written.of_sid(Topic.INBOUND, InboundMessage, sid)
    assert (key, record.body, record.tenant) == ("+14155550123", body, "acme")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_callback_by_either_method_is_verified_and_kept(
    client: httpx2.Client, written: TopicReader, method: str
) -> None:
    sid = new_sid()
    ask = get if method == "GET" else post
    assert ask(client, INBOUND, inbound_form(sid, "plus + and é")).status_code == 200
    [(_, record)] = written.of_sid(Topic.INBOUND, InboundMessage, sid)
    assert record.body == "plus + and é"


def test_a_get_whose_query_was_changed_is_refused(client: httpx2.Client) -> None:
    parameters = inbound_form(new_sid())
    signature = sign(f"{INBOUND}?{urlencode(parameters)}", {})
    forged = f"{INBOUND}?{urlencode(parameters | {'Body': 'STOP'})}"
    assert client.get(forged, headers={"x-twilio-signature": signature}).status_code == 403


def test_both_tokens_of_a_rotation_are_accepted(client: httpx2.Client) -> None:
    form = status_form(new_sid(), AccountSid=OTHER_ACCOUNT)
    assert [post(client, STATUS, form, token=token).status_code for token in OTHER_TOKENS] == [204, 204]


def test_a_token_of_another_account_is_refused(client: httpx2.Client) -> None:
    form = status_form(new_sid(), AccountSid=OTHER_ACCOUNT)
    assert post(client, STATUS, form, token=TOKEN).status_code == 403


@pytest.mark.parametrize("account", ["AC" + "9" * 32, ""])
def test_an_account_nobody_knows_is_refused(client: httpx2.Client, account: str) -> None:
    answer = post(client, STATUS, status_form(new_sid(), AccountSid=account))
    assert (answer.status_code, answer.text.split(":")[0]) == (403, "unknown-account")


def test_a_forged_request_is_refused_and_not_written(client: httpx2.Client, written: TopicReader) -> None:
    sid = new_sid()
    forged = client.post(STATUS, content=urlencode(status_form(sid)), headers={"content-type": FORM})
    assert (forged.status_code, forged.text.split(":")[0]) == (403, "missing-signature")
    assert post(client, STATUS, status_form(sid), token="guessed").status_code == 403
    assert written.of_sid(Topic.STATUS, ProviderStatus, sid) == []


def test_the_attempt_in_the_url_cannot_be_changed(client: httpx2.Client) -> None:
    form, notification = status_form(new_sid()), notification_id("acme", "t")
    signature = sign(target(notification, 1), form)
    headers = {"content-type": FORM, "x-twilio-signature": signature}
    answer = client.post(target(notification, 2), content=urlencode(form), headers=headers)
    assert answer.status_code == 403


def test_a_signature_is_checked_against_the_public_url_whatever_the_host_header_says(
    client: httpx2.Client,
) -> None:
    form = status_form(new_sid())
    headers = [("host", "evil.example"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "evil.example")]
    assert post(client, STATUS, form, headers=headers).status_code == 204


def test_a_body_of_another_type_is_refused(client: httpx2.Client) -> None:
    assert client.post(STATUS, json={"MessageSid": new_sid()}).status_code == 415
    assert client.post(STATUS, content=b"MessageSid=1").status_code == 415


def test_a_body_just_within_the_limit_is_taken(client: httpx2.Client) -> None:
    form = inbound_form(new_sid(), "")
    form["Body"] = "a" * (LARGEST_FORM - len(urlencode(form)))
    assert post(client, INBOUND, form).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused(client: httpx2.Client, chunked: bool) -> None:
    body = b"Body=" + b"a" * LARGEST_FORM
    content = iter([body[:1000], body[1000:]]) if chunked else body
    assert client.post(INBOUND, content=content, headers={"content-type": FORM}).status_code == 413


def test_a_signed_request_without_a_sid_is_refused_with_the_reason(client: httpx2.Client) -> None:
    form = status_form("")
    answer = post(client, STATUS, form)
    assert (answer.status_code, "MessageSid" in answer.text) == (400, True)


def test_a_body_that_is_no_utf_8_is_refused(client: httpx2.Client) -> None:
    assert client.post(STATUS, content=b"Body=%ff", headers={"content-type": FORM}).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [STATUS, INBOUND])
def test_another_method_is_refused(client: httpx2.Client, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("content_length", ["x", "-1", "9" * 5000])
def test_a_nonsensical_length_does_no_harm(ingress: Server, content_length: str) -> None:
    parts = urlsplit(ingress.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(
            f"POST {STATUS} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n"
            f"content-type: {FORM}\r\ncontent-length: {content_length}\r\n\r\na=1".encode()
        )
        assert connection.recv(100).split()[1:2] in ([b"400"], [b"413"])


def test_what_was_refused_and_kept_is_counted(client: httpx2.Client) -> None:
    def value(sample: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(sample))

    kept = 'ingress_requests_total{result="acknowledged",route="status"}'
    forged = 'ingress_refusals_total{reason="bad-signature"}'
    timed = 'ingress_acknowledgement_seconds_count{route="status"}'
    before = [value(sample) for sample in (kept, forged, timed)]
    post(client, STATUS, status_form(new_sid()))
    post(client, STATUS, status_form(new_sid()), token="guessed")
    assert [value(sample) for sample in (kept, forged, timed)] == [number + 1 for number in before]


def test_it_is_alive_and_ready(client: httpx2.Client) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.headers["content-type"]) == (200, "application/json")
    state = ready.json()
    assert state["journal"].pop("size_bytes") >= 0
    assert state == {
        "ready": True,
        "broker": None,
        "registry": None,
        "journal": {"entries": 0, "oldest_age_s": 0.0, "trouble": None},
    }


def test_every_answered_webhook_of_a_burst_is_in_the_topic(
    client: httpx2.Client, written: TopicReader
) -> None:
    sids = [new_sid() for _ in range(500)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda sid: post(client, STATUS, status_form(sid)).status_code, sids))
    assert set(answers) == {204}
    kept = {record.message_sid for _, record in written.all(Topic.STATUS, ProviderStatus)}
    assert kept.issuperset(sids)
