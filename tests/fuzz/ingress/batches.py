"""Batches that are odd or large: signed as Twilio would, so none of them is a forgery.

Guarantees: the second value says whether the ingress has to accept the batch.
"""

from __future__ import annotations

import json

from tests.fuzz.ingress.genuine import EVENTS, event, sealed_body
from tests.fuzz.ingress.limits import LARGEST_BATCH, LARGEST_EVENT, MOST_EVENTS
from tests.fuzz.ingress.sdk import TOKENS
from tests.fuzz.ingress.values import Rng
from tests.fuzz.ingress.wire import JSON, Draft, marker
from tests.ingress.twilio_side import ACCOUNT

_DEPTHS = (5, 30, 31, 32, 33, 34, 900, 1100, 5000)
# Bodies that are no batch of anything; {one} is a proper event.
_NO_BATCHES = (
    *(b"", b" ", b"[]", b"[ ]", b"null", b"{}", b"[", b"]", b"[,]", b"[1,]", b"[]]", b"\0", b"NaN", b"[NaN]"),
    *(b"\xef\xbb\xbf[]", b"[" * 100_000, b'{"a":' * 5000, b"{one}", b"[{one}", b"[{one},]", b"[{one}]]"),
)


def odd_batch(rng: Rng, number: int) -> tuple[Draft, bool]:
    """JSON that is no array, or whose elements are no events, deep, large, or no UTF-8."""
    one = json.dumps(event(rng, number, 0)).encode()
    chance = rng.random()
    if chance < 0.75:
        odd = (*_odd_elements(rng, marker(number).encode()), *_odd_events(rng, one))
        chosen = rng.choices((*odd, one, one, one), k=rng.randrange(1, 5))
        body = b"[" + rng.choice((b",", b" , ", b",\n\t")).join(chosen) + b"]"
    elif chance < 0.95:
        body = rng.choice(_NO_BATCHES).replace(b"{one}", one)
    else:
        body = rng.choice((f"[{one.decode()}]".encode("utf-16"), rng.randbytes(rng.randrange(200))))
    return _sealed(body), False


def _odd_elements(rng: Rng, mark: bytes) -> tuple[bytes, ...]:
    """JSON, or nearly, but no events."""
    deep = rng.choice(_DEPTHS)
    return (
        mark + b"e" + rng.choice((b"1", b"5", b"308", b"400", b"99999")),
        b"-" + mark + b"." + b"9" * rng.choice((1, 400, 5000)),
        mark * rng.choice((1, 20, 400)),
        *(b'"' + mark + odd + b'"' for odd in (b"", b"\\ud800", b"\\u0000", b"\0", b"\xff", b"\xed\xa0\x80")),
        b'{"a":"' + mark + b'"}',
        b'{"' + mark + b'":1,"' + mark + b'":2}',
        b"[" * deep + mark + b"]" * deep,
        b'{"a":' * deep + mark + b"}" * deep,
    )


def _odd_events(rng: Rng, one: bytes) -> tuple[bytes, ...]:
    """A proper event with one thing in it that is not."""
    deep = rng.choice(_DEPTHS)
    nested = b"[" * deep + b"1" + b"]" * deep
    data = (nested, b"1e999", b"7" * 5000, b'"\xff"', b'"\\udc00"')
    return (
        *(one.replace(b'"n":', b'"n":' + odd + b',"m":', 1) for odd in data),
        one.replace(b'"2026-', b'"-9999-', 1),
        one.replace(b'"time": "', b'"time": "0001-01-01T00:00:00+23:59","time2": "', 1),
        one.replace(b'"id": "', b'"id": "\\u0000', 1),
        one.replace(b'"specversion": "1.0"', b'"specversion": 1.0', 1),
        one.replace(b'"data": {', b'"data": [{', 1).replace(b"}}", b"}]}", 1),
        one.replace(b'"source"', b'"sourc\\u0065"', 1),
        one.replace(b'"type"', b'"type": "another","type"', 1),
        one.replace(b'"dataschema": "', b'"dataschema": null, "x": "', 1),
    )


def batch_at_a_limit(rng: Rng, number: int) -> tuple[Draft, bool]:
    """Of the number of events, of one event's size, of the whole batch's: below, at, above."""
    over = rng.choice((-2, -1, 0, 0, 1, 2))
    one = event(rng, number, 0)
    match rng.randrange(3):
        case 0:
            events = [one | {"id": f"{one['id']}{at}"} for at in range(MOST_EVENTS + over)]
        case 1:
            events = [_filled(one, LARGEST_EVENT + over), event(rng, number, 1)]
        case _:
            others = [event(rng, number, at) for at in range(1, rng.choice((2, 50)))]
            half = _filled(one, LARGEST_BATCH // 2)
            room = LARGEST_BATCH - len(json.dumps([half, *others])) - len(", ")
            events = [half, *others, _filled(event(rng, number, 99), room + over)]
    return _sealed(json.dumps(events).encode()), over <= 0


def _filled(one: dict[str, object], size: int) -> dict[str, object]:
    """With something in it that makes it so many bytes of JSON."""
    filler = size - len(json.dumps(one | {"filler": ""}))
    return one | {"filler": "x" * filler}


def _sealed(body: bytes) -> Draft:
    draft = Draft(EVENTS, "", ACCOUNT, TOKENS[ACCOUNT][0], body=body, content_type=JSON)
    return sealed_body(draft, f"account={ACCOUNT}")
