"""Genuine requests with odd content or of odd size: signed as Twilio would, so none of them is a forgery.

Guarantees: the return value says whether the ingress has to accept what it was made of.
"""

from __future__ import annotations

import json

from tests.fuzz.ingress.genuine import EVENTS, INBOUND, by_get, event, form, sealed, sealed_body, signed
from tests.fuzz.ingress.sdk import TOKENS, signature
from tests.fuzz.ingress.values import Rng, new_sid, odd_pairs, odd_text, oddly_encoded
from tests.fuzz.ingress.wire import JSON, Draft, marker
from tests.ingress.twilio_side import ACCOUNT

# What the ingress promises to take (issue: 64 KB for forms, 1 MiB for batches).
LARGEST_FORM = 64 * 1024
LARGEST_BATCH = 1024 * 1024
MOST_PARAMETERS = 500
MOST_HEADERS = 100
MOST_EVENTS = 1000
LONGEST_HEAD = 16 * 1024
_IDENTIFYING = ("MessageSid", "SmsSid", "SmsMessageSid", "CallSid", "AccountSid")


def odd_values(rng: Rng, draft: Draft) -> bool:
    """Any value but those that identify is odd; names that nobody knows."""
    taken = {name for name, _ in draft.pairs}
    draft.pairs += [pair for pair in odd_pairs(rng, 12) if pair[0] not in taken]
    _seal(rng, draft)
    return True


def odd_identity(rng: Rng, draft: Draft) -> bool:
    """The values that identify, too."""
    for at, (name, value) in enumerate(draft.pairs):
        if name not in ("AccountSid", "Marker") and rng.random() < 0.3:
            draft.pairs[at] = (name, rng.choice((odd_text(rng), value.lower(), value[:-1], value + "0", "")))
    draft.pairs = [pair for pair in draft.pairs if pair[0] in ("AccountSid", "Marker") or rng.random() < 0.9]
    _seal(rng, draft)
    return False


def odd_escapes(rng: Rng, draft: Draft) -> bool:
    draft.pairs += odd_pairs(rng, 3) if rng.random() < 0.5 else []
    draft.body = oddly_encoded(rng, draft.pairs)
    as_url = draft.body.decode()
    if rng.random() < 0.2 and as_url.isascii() and as_url.isprintable() and "#" not in as_url:
        draft.method, draft.query = "GET", as_url
    signed(draft)
    return not _repeats(draft)


def repeated(rng: Rng, draft: Draft) -> bool:
    """Names more than once, with the same and with other values, in any order."""
    again = rng.choices([pair for pair in draft.pairs if pair[0] not in _IDENTIFYING], k=rng.randrange(1, 6))
    draft.pairs += [(name, rng.choice((value, odd_text(rng)))) for name, value in again]
    if rng.random() < 0.3:
        draft.pairs.append(("AccountSid", odd_text(rng)))  # the first one counts
    _seal(rng, draft)
    return False


def odd_query(rng: Rng, draft: Draft) -> bool:
    """What a callback URL never says, signed."""
    draft.query = rng.choice(
        (
            *("n=&a=", "n=x&a=1", "a=1", "n=00000000-0000-0000-0000-000000000001&a=0", "n=n&n=n&a=a", "%00"),
            *(
                "n=00000000-0000-0000-0000-000000000001&a=" + "9" * 5000,
                "n=%ff&a=%c0%80",
                "&" * 200,
                "?",
                "??",
            ),
            *("n={00000000-0000-0000-0000-000000000001}&a=1_0", "n=urn:uuid:" + "0" * 32 + "&a=%D9%A3"),
            *(
                "a=1&n=00000000-0000-0000-0000-00000000000A",
                "bodySHA256=",
                "bodySHA256=0&a",
                "%",
                "%zz",
                "=",
                "é",
            ),
        )
    )
    draft.signature = signature(draft.target, draft.pairs, draft.token)
    return False


def odd_batch(rng: Rng, number: int) -> tuple[Draft, bool]:
    """JSON that is no array, or whose elements are no events, deep, large, or no UTF-8."""
    draft = Draft(EVENTS, "", ACCOUNT, TOKENS[ACCOUNT][0], content_type=JSON)
    draft.body = _odd_json(rng, number)
    return sealed_body(draft, f"account={ACCOUNT}"), False


def _odd_json(rng: Rng, number: int) -> bytes:
    mark = marker(number).encode()
    good = json.dumps(event(rng, number, 0)).encode()
    deep = rng.choice((5, 30, 31, 32, 33, 34, 900, 1100, 5000))
    elements = (
        mark + b"e" + str(rng.choice((1, 5, 308, 400, 99999))).encode(),
        b"-" + mark + b"." + b"9" * rng.choice((1, 400, 5000)),
        mark * rng.choice((1, 20, 400)),
        b'"' + mark + b'"',
        b'"' + mark + b'\\ud800"',
        b'"' + mark + b'\\u0000"',
        b'"' + mark + b"\0" + b'"',
        b'"' + mark + b"\xff" + b'"',
        b'"' + mark + b"\xed\xa0\x80" + b'"',
        b'{"a":"' + mark + b'"}',
        b'{"' + mark + b'":1,"' + mark + b'":2}',
        b"[" * deep + mark + b"]" * deep,
        b'{"a":' * deep + mark + b"}" * deep,
        good.replace(b'"n":', b'"n":' + b"[" * deep + b"1" + b"]" * deep + b',"m":', 1),
        good.replace(b'"n":', b'"n":1e999,"m":', 1),
        good.replace(b'"n":', b'"n":' + b"7" * 5000 + b',"m":', 1),
        good.replace(b'"n":', b'"n":"\xff","m":', 1),
        good.replace(b'"n":', b'"n":"\\udc00","m":', 1),
        good.replace(b'"2026-', b'"-9999-', 1),
        good.replace(b'"time": "', b'"time": "0001-01-01T00:00:00+23:59","time2": "', 1),
        good.replace(b'"id": "', b'"id": "\\u0000', 1),
        good.replace(b'"specversion": "1.0"', b'"specversion": 1.0', 1),
        good.replace(b'"data": {', b'"data": [{', 1).replace(b"}}", b"}]}", 1),
        good.replace(b'"source"', b'"sourc\\u0065"', 1),
        good.replace(b'"type"', b'"type": "' + mark + b'","type"', 1),
        good.replace(b'"dataschema": "', b'"dataschema": null, "x": "', 1),
    )
    if rng.random() < 0.75:
        chosen = rng.choices((*elements, good, good, good), k=rng.randrange(1, 5))
        return b"[" + rng.choice((b",", b" , ", b",\n\t")).join(chosen) + b"]"
    return rng.choice(
        (
            *(
                b"",
                b" ",
                b"[]",
                b"[ ]",
                b"null",
                b"{}",
                b"[",
                b"]",
                b"[,]",
                b"[1,]",
                b"\xef\xbb\xbf[]",
                b"[]]",
            ),
            *(
                good,
                b"[" + good,
                b"[" + good + b",]",
                b"[" * 100_000,
                b'{"a":' * 5000,
                b"\0",
                b"NaN",
                b"[NaN]",
            ),
            ("[" + json.dumps(event(rng, number, 0)) + "]").encode("utf-16"),
            rng.randbytes(rng.randrange(200)),
        )
    )


def at_a_limit(rng: Rng, number: int) -> tuple[Draft, bool]:
    """One below, at, and one above what is taken; seldom far above."""
    draft = form(rng, number)
    over = rng.choice((-2, -1, 0, 0, 1, 2))
    chance = rng.random()
    if chance < 0.35:
        draft.pairs.append(("Filler", ""))
        space = LARGEST_FORM - len(sealed(draft).body)
        draft.pairs[-1] = ("Filler", "x" * (space + over))
        sealed(draft)
    elif chance < 0.7:
        missing = MOST_PARAMETERS - len(draft.pairs) + over
        draft.pairs += [(f"P{at}", "") for at in range(missing)]
        sealed(draft)
    elif chance < 0.9:
        missing = MOST_HEADERS - len(draft.all_headers()) + over
        draft.headers += [(b"X-%d" % at, b"") for at in range(missing)]
        return draft, False  # a server may count in another way
    elif chance < 0.97:
        over *= rng.choice((1, 100, 20_000))
        name = rng.choice((b"X-Long", b"X" * 300, b"Cookie"))
        draft.headers.append((name, b"x" * max(0, LONGEST_HEAD - 700 + over)))
        return draft, False
    else:
        return _large_batch(rng, number, over)
    return draft, over <= 0


def _large_batch(rng: Rng, number: int, over: int) -> tuple[Draft, bool]:
    draft = Draft(EVENTS, "", ACCOUNT, TOKENS[ACCOUNT][0], content_type=JSON)
    chance = rng.random()
    if chance < 0.3:
        one = event(rng, number, 0)
        draft.body = json.dumps(
            [one | {"id": f"{one['id']}{at}"} for at in range(MOST_EVENTS + over)]
        ).encode()
        over = 1 if len(draft.body) > LARGEST_BATCH else over
    else:
        events = [event(rng, number, at) for at in range(rng.choice((1, 2, 50)))]
        events[0]["filler"] = ""
        space = LARGEST_BATCH - len(json.dumps(events))
        if rng.random() < 0.5:
            space //= len(events)
            for each in events:
                each["filler"] = "x" * (space - 20)
            over = 0
        else:
            events[0]["filler"] = "x" * (space + over)
        draft.body = json.dumps(events).encode()
        over = max(over, len(draft.body) - LARGEST_BATCH)
    return sealed_body(draft, f"account={ACCOUNT}"), over <= 0


def _seal(rng: Rng, draft: Draft) -> None:
    by_get(draft) if rng.random() < 0.1 else sealed(draft)


def _repeats(draft: Draft) -> bool:
    return len({name for name, _ in draft.pairs}) < len(draft.pairs)


def unidentified(rng: Rng, number: int) -> tuple[Draft, bool]:
    """A genuine webhook of one kind, sent to the URL of another, and signed for it."""
    draft = form(rng, number)
    draft.path = rng.choice((INBOUND, "/twilio/voice", "/twilio/status"))
    draft.pairs.append(("SmsMessageSid", new_sid(rng, number)))
    return sealed(draft), False
