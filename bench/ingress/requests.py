"""Status callbacks as Twilio posts them, signed: each of another message and notification."""

from __future__ import annotations

import uuid
from random import Random
from urllib.parse import urlencode, urlsplit

from ingress.callback_url import status_callback_url
from tests.ingress.twilio_side import BASE, FORM, sign, status_form

SEED = 20260101


def signed_requests(count: int) -> list[bytes]:
    """`count` whole HTTP requests of some 660 bytes: twelve headers' worth and ten to eleven parameters."""
    random = Random(SEED)
    return [_signed(random) for _ in range(count)]


def _signed(random: Random) -> bytes:
    notification, token = (str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(2))
    url = urlsplit(status_callback_url(BASE, notification, 1))
    target = f"{url.path}?{url.query}"
    form = status_form(
        f"SM{random.getrandbits(128):032x}",
        random.choice(("sent", "delivered")),
        MessagingServiceSid="MG" + "3" * 32,
        RawDlrDoneDate="2611211405",
    )
    body = urlencode(form).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: hooks.example.com\r\nX-Twilio-Signature: {sign(target, form)}\r\n"
        f"Content-Type: {FORM}\r\nI-Twilio-Idempotency-Token: {token}\r\nUser-Agent: TwilioProxy/1.1\r\n"
        f"Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
