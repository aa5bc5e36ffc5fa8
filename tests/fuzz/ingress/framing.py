"""Bodies that do not end where they should: lengths, chunks, a request hidden in another, one cut off.

Each function gives the bytes of one request, made of a genuine one, and how to send them. Where a server may
take them for a request, it is still the oracle who says whether that one was signed.
"""

from __future__ import annotations

from tests.fuzz.ingress.sdk import signature
from tests.fuzz.ingress.values import Rng, odd_text
from tests.fuzz.ingress.wire import Draft, Framed, Header, Sending

_LENGTH = b"Content-Length"
_CODING = b"Transfer-Encoding"
_CHUNKED: Header = (_CODING, b"chunked")


def chunks(rng: Rng, body: bytes, *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """The body as a proper sequence of chunks (RFC 9112, section 7.1)."""
    framed, at = b"", 0
    while at < len(body):
        size = rng.choice((1, 7, 100, 4096)) if len(body) < 10_000 else 50_000
        part = body[at : at + size]
        length = (b"%x" if rng.random() < 0.5 else b"%04X") % len(part)
        framed += length + extension + b"\r\n" + part + b"\r\n"
        at += size
    return framed + b"0\r\n" + trailer + b"\r\n"


def chunked(rng: Rng, draft: Draft) -> bytes:
    extension, trailer = rng.choice(((b"", b""), (b";a=b", b""), (b"", b"X-Trailer: 1\r\n")))
    return draft.encode([_CHUNKED], chunks(rng, draft.body, extension=extension, trailer=trailer))


def odd_chunks(rng: Rng, draft: Draft) -> Framed:
    proper, body = chunks(rng, draft.body), draft.body
    size, end = b"%x" % len(body), b"\r\n0\r\n\r\n"
    sent = rng.choice(
        (
            *(b"", proper[:-5], proper[:-2], proper.replace(b"\r\n", b"\n"), b"0\r\n\r\n" + proper),
            *(b"-" + proper, b" " + proper, b"\r\n" + proper, b"0x" + size + b"\r\n" + body + end),
            *(b"%b\r\n" % odd + body for odd in (b"f" * 18, b"7fffffff", b"g", b"")),
            size + b";" + b"x" * rng.choice((10, 20_000)) + b"\r\n" + body + end,
            b"1\r\na\r\n" * rng.choice((10, 2000)),
            proper[:-2] + b"X-T: 1\r\n" * rng.choice((1, 3000)) + b"\r\n",
            size + b"\r\n" + body + b"0\r\n\r\n",
        )
    )
    coding = rng.choice(
        (
            *(b"Chunked", b"chunked, chunked", b"gzip, chunked", b"chunked, identity", b"identity"),
            *(b"xchunked", b"\x0bchunked", b"chunked\x0b", b""),
        )
    )
    framing: list[Header] = rng.choice(
        (
            *([_CHUNKED], [_CHUNKED], [(_CODING, coding)], [(_CODING, coding), _CHUNKED]),
            [_CHUNKED, (_LENGTH, b"%d" % len(body))],
            [(_LENGTH, b"%d" % len(sent)), _CHUNKED],
            [(_CODING, coding), (_LENGTH, b"%d" % len(body))],
            [(b"Transfer-Encoding ", b"chunked")],
        )
    )
    return draft.encode(framing, sent), Sending.UNCLEAR


def odd_lengths(rng: Rng, draft: Draft) -> Framed:
    size = len(draft.body)
    right: Header = (_LENGTH, b"%d" % size)
    value = rng.choice(
        (
            *(b"%d" % (size + other) for other in (-5, -1, 1, 5, 100)),
            *(odd % size for odd in (b"-%d", b"+%d", b"0%d", b"0x%x", b"%d.0", b"%d abc", b"%de0", b"1_%d")),
            *(b"%d,%d" % (size, size), b"%d, %d" % (size, size + 1), b"", b"0", b"-1", b"NaN", b"\xd9\xa3"),
            *(b"9" * digits for digits in (9, 19, 5000)),
            *(b"18446744073709551616", b"18446744073709551615", b"2147483648", b"65537", b"1048577"),
        )
    )
    wrong: Header = (_LENGTH, value)
    named: list[Header] = [(b"Content_Length", value), (b"content-length ", value)]
    framing: list[Header] = rng.choice(
        ([wrong], [wrong], [], [right, wrong], [wrong, right], [right, right], named[:1], named[1:])
    )
    return draft.encode(framing), Sending.UNCLEAR


def smuggled(rng: Rng, draft: Draft) -> Framed:
    """A second request, unsigned or signed for another one, in what may be taken for the first one's body."""
    hidden = Draft(draft.path, draft.query, draft.account, draft.token, list(draft.pairs), draft.body)
    hidden.signature = rng.choice((None, draft.signature, b"", signature("/twilio/x", [], draft.token)))
    hidden.pairs = [("Body", odd_text(rng)), *hidden.pairs]
    hidden.body = b"Body=forged&" + hidden.body
    inner = hidden.encode()
    outer = rng.choice((b"0\r\n\r\n", b"", draft.body, b"x=1", b"%x\r\n" % len(draft.body)))
    length = rng.choice((len(outer), len(outer) + len(inner), 4, 0))
    framing: list[Header] = [(_LENGTH, b"%d" % length)]
    if rng.random() < 0.6:
        coding = rng.choice((b"chunked", b"chunked ", b"xchunked", b"cow"))
        framing.insert(rng.randrange(2), (_CODING, coding))
    return draft.encode(framing, outer + inner), Sending.UNCLEAR


def cut(rng: Rng, draft: Draft) -> Framed:
    """The client goes away in the middle."""
    raw = draft.encode()
    return raw[: rng.randrange(1, len(raw))], Sending.CUT


def stalled(rng: Rng, draft: Draft) -> Framed:
    """The client stays, and says nothing more."""
    raw = draft.encode()
    end_of_head = raw.index(b"\r\n\r\n") + 4
    in_head = rng.random() < 0.5 or end_of_head == len(raw)
    at = rng.randrange(1, end_of_head) if in_head else rng.randrange(end_of_head, len(raw))
    return raw[:at], Sending.STALLED
