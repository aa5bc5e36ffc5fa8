"""What stands in a genuine webhook, and what never should: SIDs, numbers, texts, and their escapes.

Guarantees: everything from the given random numbers; every form's SID and every text that is made here is
traceable to its request (`wire.marker`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

from tests.fuzz.ingress.wire import Pair, marker

Rng = random.Random

MESSAGE_STATUSES = (
    *("accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read"),
    *("canceled", "receiving", "received", "partially_delivered", "teleported"),
)
CALL_STATUSES = ("queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer")
OPTIONAL = (
    *("ErrorCode", "ErrorMessage", "RawDlrDoneDate", "ChannelPrefix", "ChannelStatusMessage", "EventType"),
    *("MessagingServiceSid", "NumSegments", "Price", "PriceUnit", "ChannelToAddress", "SmsStatus", "Body"),
    *("StructuredMessage", "ApiVersion", "NumMedia", "MediaUrl0", "MediaContentType0", "MediaUrl1"),
    *("OptOutType", "ButtonPayload", "ProfileName", "WaId", "Latitude", "OriginalRepliedMessageSid"),
    *("SequenceNumber", "Timestamp", "Duration", "CallDuration", "SipResponseCode", "AnsweredBy"),
    *("ParentCallSid", "Direction", "Caller", "Called", "CallbackSource", "CallToken", "Zukünftig", "a b"),
)
_ODD_TEXTS = (
    *("", " ", "  both ends  ", "+", "%", "%41", "&", "=", ";", "a=b&c=d", "a+b", "\0", "\0\0x", "\r\n\t"),
    *("Grüße ☃", "𝒳𝒴", "\U0010ffff", "\ufffd", "\u202etfel", "e\u0301", "ß", "İ", "\u2028", "\x7f\x80\x9f"),
    *("STOP", "stop!", "HELP", "START", "STATUS x&y", "status", "ack.", "NOTE {sender} {argument} {"),
    *("whatsapp:", "whatsapp:+", ":", "sip:x@y", "rcs:agent", "+", "++", "note <&>\0"),
    *("0", "-1", "00030007", "999999999", "9999999999", "1e9", "٣", "0x10", "NaN", "null", "[]", "{}"),
    *("Mon, 31 Feb 2026 25:61:61 +9999", "Mon, 16 Aug 2021 15:53:15 +0000", "Thu, 01 Jan 0001 00:00:00"),
    *("{{7*7}}", "<Response/>", "]]>", "'; --", "${jndi:x}", "../../etc", "delivered\0", "DELIVERED "),
)
_ALPHABET = "abcdefghij ABCDEFGHIJ 0123456789 äöüßéñ ☃日本語𝒳 &=+%;#?/\\\"'<>{}[]\t\n"
_UNESCAPED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~*:/,!'()@$|")


def new_sid(rng: Rng, number: int, kind: str = "SM") -> str:
    return f"{kind}{marker(number)}{rng.getrandbits(56):014x}"


def phone(rng: Rng) -> str:
    return f"+1415555{rng.randrange(10_000):04}"


def odd_text(rng: Rng) -> str:
    """Something short that a reader may trip over."""
    chance = rng.random()
    if chance < 0.7:
        return rng.choice(_ODD_TEXTS)
    if chance < 0.98:
        return "".join(rng.choices(_ALPHABET, k=rng.randrange(40)))
    return rng.choice(_ODD_TEXTS) * rng.randrange(1, 400)


def odd_pairs(rng: Rng, most: int) -> list[Pair]:
    """Known names with odd values, and names nobody knows."""
    chosen = rng.sample(OPTIONAL, rng.randrange(most + 1))
    found = [(name, odd_text(rng)) for name in chosen]
    if rng.random() < 0.3:
        found.append((odd_text(rng) + "?", odd_text(rng)))
    return found


def _lower_hex(text: str) -> str:
    return "".join(chr(b) if b in _UNESCAPED else f"%{b:02x}" for b in text.encode())


def _all_escaped(text: str) -> str:
    return "".join(f"%{b:02X}" for b in text.encode())


def _only_needed(text: str) -> str:
    """Raw UTF-8 but for what would be read as something else."""
    return "".join(_NEEDED.get(char, char) for char in text)


_NEEDED = {char: f"%{ord(char):02X}" for char in "&=+%"} | {" ": "+"}

_STYLES: tuple[Callable[[str], str], ...] = (
    quote_plus,
    quote,
    _lower_hex,
    _all_escaped,
    _only_needed,
    lambda text: quote(text, safe="/:,@"),
)


def encoded(pairs: list[Pair]) -> bytes:
    """As Twilio encodes a form."""
    return urlencode(pairs).encode()


def oddly_encoded(rng: Rng, pairs: list[Pair]) -> bytes:
    """The same pairs, escaped in another way each: hexadecimal digits in both cases, too much, as little as
    can be, empty pairs between, no `=` behind a name without a value."""
    style = rng.choice(_STYLES) if rng.random() < 0.5 else None
    fields: list[str] = []
    for name, value in pairs:
        escape = style or rng.choice(_STYLES)
        named = escape(name)
        if rng.random() < 0.05:
            fields.append("")
        fields.append(named if named and not value and rng.random() < 0.5 else f"{named}={escape(value)}")
    return "&".join(fields).encode()
