"""Bytes that are broken: escapes that are none, a request with some bytes changed, plain noise.

Each function gives the bytes of one request and how to send them.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from tests.fuzz.ingress.genuine import signed
from tests.fuzz.ingress.values import Rng
from tests.fuzz.ingress.wire import Draft, Framed, Sending, marker

# Escapes that are none, half, overlong, of surrogates, beyond Unicode; bytes that are not UTF-8; separators.
_BAD = (
    *b"% %% %1 %2 %ZZ %u0041 %00 %ff %c3 %e2%98 %c0%80 %C0%AF %E0%80%AF %f8%88%80%80 %F4%90%80%80".split(),
    *b"%ed%a0%80 %ED%B0%80 %ED%A0%80%ED%B0%80 %EF%BB%BF %2526 %26amp; +%2B%2b %E2%98%83 %c3\xa9".split(),
    *(b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\0", b"\xc3%a9", b"\xe2\x98\x83"),
    *(b"&&&&", b"=", b"==", b"&=", b";", b" ", b"\r\n"),
)
_PUT_IN = (b"\r\n", b"\0", b"\xff", b" ", b":", b"\n", b"&", b"%00", b"=", b"\r")


def bad_escapes(rng: Rng, draft: Draft) -> Framed:
    """Somewhere in a form; often signed as somebody would who reads it generously."""
    at = rng.choice([at for at, byte in enumerate(draft.body) if byte in b"=&"]) + rng.randrange(2)
    draft.body = draft.body[:at] + rng.choice(_BAD) + draft.body[at:]
    if rng.random() < 0.6:
        text = draft.body.decode("utf-8", "replace")
        draft.pairs = parse_qsl(text, keep_blank_values=True, errors="replace")
        signed(draft)
    return draft.encode(), Sending.WHOLE


def changed_bytes(rng: Rng, draft: Draft) -> Framed:
    """A genuine request with some bytes flipped, gone, doubled or put in."""
    raw = bytearray(draft.encode())
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        if not raw:
            break
        at = rng.randrange(len(raw))
        match rng.randrange(5):
            case 0:
                raw[at] ^= 1 << rng.randrange(8)
            case 1:
                raw[at] = rng.randrange(256)
            case 2:
                del raw[at : at + rng.choice((1, 2, 30))]
            case 3:
                raw[at:at] = raw[at : at + rng.choice((1, 5, 60))]
            case _:
                raw[at:at] = rng.choice(_PUT_IN)
    return bytes(raw), Sending.UNCLEAR


def noise(rng: Rng, number: int) -> Framed:
    """No request at all."""
    length = rng.choice((1, 10, 300, 5000))
    repeated = (marker(number).encode(), b"\r\n", b"GET ", b"GET / HTTP/1.1\r\n", b"\0", b": \r\n")
    random = rng.randbytes(length)
    raw = rng.choice(
        (*(part * length for part in repeated), random, b"POST /twilio/status HTTP/1.1\r\n" + random)
    )
    return raw, Sending.UNCLEAR
