"""Webhooks as Twilio would send them, for each route, signed by its SDK: what mutations start from.

Guarantees: `genuine` is within all limits and says what its route needs, so it must be accepted.
"""

from __future__ import annotations

import json
import uuid
from hashlib import sha256

from tests.fuzz.ingress.sdk import TOKENS, signature
from tests.fuzz.ingress.values import (
    CALL_STATUSES,
    MESSAGE_STATUSES,
    Rng,
    encoded,
    new_sid,
    phone,
)
from tests.fuzz.ingress.wire import JSON, Draft, Pair, marker
from tests.ingress.twilio_side import ACCOUNT, OTHER_ACCOUNT

STATUS, INBOUND, VOICE, EVENTS = "/twilio/status", "/twilio/inbound", "/twilio/voice", "/twilio/events"
FORM_ROUTES = (STATUS, INBOUND, VOICE)
_TEXTS = ("", "hello", "Grüße ☃", "100% & more=+1", "STOP", "HELP", "yes", "status A-7", "Ack.", "note: {x}")


def genuine(rng: Rng, number: int) -> Draft:
    """A form for any of its routes, seldom a batch."""
    if rng.random() < 0.06:
        return batch(rng, number)
    return form(rng, number)


def form(rng: Rng, number: int, path: str | None = None) -> Draft:
    path = path or rng.choices(FORM_ROUTES, (3, 2, 1))[0]
    account = ACCOUNT if rng.random() < 0.75 else OTHER_ACCOUNT
    draft = Draft(path, "", account, rng.choice(TOKENS[account]), _PAIRS[path](rng, number))
    draft.pairs.append(("AccountSid", account))
    draft.pairs.append(("Marker", marker(number)))
    if path != INBOUND and rng.random() < 0.6:
        draft.query = f"n={uuid.UUID(int=rng.getrandbits(128))}&a={rng.randrange(1, 9)}"
    draft.headers += [(b"User-Agent", b"TwilioProxy/1.1"), (b"Accept", b"*/*")]
    return sealed(draft)


def batch(rng: Rng, number: int) -> Draft:
    """Event Streams: a JSON array, its hash in the URL that is signed."""
    account = rng.choice((ACCOUNT, OTHER_ACCOUNT))
    draft = Draft(EVENTS, "", account, rng.choice(TOKENS[account]), content_type=JSON)
    draft.body = json.dumps([event(rng, number, at) for at in range(rng.randrange(1, 4))]).encode()
    return sealed_body(draft, f"account={account}" if rng.random() < 0.7 else "")


def event(rng: Rng, number: int, at: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": "com.twilio.messaging.message.delivered",
        "source": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{new_sid(rng, number)}.json",
        "id": f"EZ{marker(number)}{at:014x}",
        "dataschema": "https://events-schemas.twilio.com/Messaging.MessageStatus/4",
        "datacontenttype": "application/json",
        "time": "2026-08-19T11:42:07.123Z",
        "data": {"messageSid": new_sid(rng, number), "to": phone(rng), "n": rng.randrange(10**6)},
    }


def sealed(draft: Draft) -> Draft:
    """Its pairs as the body, signed by the SDK."""
    draft.body = encoded(draft.pairs)
    return signed(draft)


def signed(draft: Draft) -> Draft:
    draft.signature = signature(draft.target, [] if draft.method == "GET" else draft.pairs, draft.token)
    return draft


def sealed_body(draft: Draft, query: str = "") -> Draft:
    """The hash of its body in the query, and the URL signed by the SDK."""
    draft.query = "&".join(filter(None, (query, f"bodySHA256={sha256(draft.body).hexdigest()}")))
    draft.signature = signature(draft.target, [], draft.token)
    return draft


def by_get(draft: Draft) -> Draft:
    """A form whose pairs are in the URL."""
    draft.method = "GET"
    draft.query = encoded(draft.pairs).decode()
    return signed(draft)


def _status(rng: Rng, number: int) -> list[Pair]:
    sid, status = new_sid(rng, number, rng.choice(("SM", "MM"))), rng.choice(MESSAGE_STATUSES)
    pairs = [
        ("ApiVersion", "2010-04-01"),
        ("From", phone(rng)),
        ("To", rng.choice(("", "whatsapp:", "rcs:")) + phone(rng)),
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("SmsSid", sid),
        ("SmsStatus", status),
    ]
    if status in ("failed", "undelivered"):
        pairs.append(("ErrorCode", "30007"))
    return pairs


def _inbound(rng: Rng, number: int) -> list[Pair]:
    sid = new_sid(rng, number)
    return [
        ("MessageSid", sid),
        ("SmsMessageSid", sid),
        ("From", phone(rng)),
        ("To", "+14155550100"),
        ("Body", rng.choice(_TEXTS)),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
    ]


def _voice(rng: Rng, number: int) -> list[Pair]:
    return [
        ("CallSid", new_sid(rng, number, "CA")),
        ("CallStatus", rng.choice(CALL_STATUSES)),
        ("From", phone(rng)),
        ("To", phone(rng)),
        ("Direction", "outbound-api"),
        ("SequenceNumber", str(rng.randrange(5))),
        ("Timestamp", "Mon, 16 Aug 2021 15:53:15 +0000"),
    ]


_PAIRS = {STATUS: _status, INBOUND: _inbound, VOICE: _voice}
