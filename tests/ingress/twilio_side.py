"""Twilio's side of a webhook: the form it would send and the signature Twilio's own SDK puts on it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import httpx2
from twilio.request_validator import RequestValidator

ACCOUNT = "AC" + "1" * 32
TOKEN = "auth-token-of-the-tests"
OTHER_ACCOUNT = "AC" + "2" * 32
OTHER_TOKENS = ("outgoing-token", "incoming-token")
BASE = "https://hooks.example.com"
FORM = "application/x-www-form-urlencoded; charset=utf-8"

Parameters = Mapping[str, str]


def new_sid(kind: str = "SM") -> str:
    return kind + uuid.uuid4().hex


def status_form(sid: str, status: str = "delivered", **more: str) -> dict[str, str]:
    """The documented parameters of a status callback."""
    return {
        "AccountSid": ACCOUNT,
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "From": "+14155550100",
        "To": "+14155550123",
        "ApiVersion": "2010-04-01",
    } | more


def inbound_form(sid: str, body: str = "hello", **more: str) -> dict[str, str]:
    """The documented parameters of an inbound message."""
    return {
        "AccountSid": ACCOUNT,
        "MessageSid": sid,
        "SmsMessageSid": sid,
        "From": "+14155550123",
        "To": "+14155550100",
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
    } | more


def sign(target: str, parameters: Parameters, token: str = TOKEN, base: str = BASE) -> str:
    """The signature of a request for `target` (path and query) on the public URL, by Twilio's SDK."""
    return str(RequestValidator(token).compute_signature(base + target, dict(parameters)))


def post(
    client: httpx2.Client,
    target: str,
    parameters: Parameters,
    *,
    token: str = TOKEN,
    headers: Sequence[tuple[str, str]] = (),
) -> httpx2.Response:
    """The webhook as Twilio sends it."""
    signature = sign(target, parameters, token)
    return client.post(
        target,
        content=urlencode(parameters),
        headers=[("content-type", FORM), ("x-twilio-signature", signature), *headers],
    )


def get(client: httpx2.Client, path: str, parameters: Parameters, *, token: str = TOKEN) -> httpx2.Response:
    """The webhook by GET: everything is in the URL, and only the URL is signed."""
    target = f"{path}?{urlencode(parameters)}"
    return client.get(target, headers={"x-twilio-signature": sign(target, {}, token)})
