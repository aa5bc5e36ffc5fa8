"""Bytes that are no proper HTTP, or only just: lengths, chunks, heads, and plain noise.

Each function gives the bytes of one request, made of a genuine one, and how to send them. Where a server may
take them for a request, it is still the oracle who says whether that one was signed.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from tests.fuzz.ingress.genuine import EVENTS, signed
from tests.fuzz.ingress.sdk import signature
from tests.fuzz.ingress.values import Rng, odd_text
from tests.fuzz.ingress.wire import Draft, Header, Sending, marker

Framed = tuple[bytes, Sending]

_LENGTH = b"Content-Length"
_CODING = b"Transfer-Encoding"
_CHUNKED: Header = (_CODING, b"chunked")


def chunks(rng: Rng, body: bytes, *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """The body as a proper sequence of chunks (RFC 9112, section 7.1)."""
    framed, at = b"", 0
    while at < len(body):
        size = rng.choice((1, 7, 100, 4096)) if len(body) < 10_000 else 50_000
        part = body[at : at + size]
        framed += (
            (b"%x" if rng.random() < 0.5 else b"%04X") % len(part) + extension + b"\r\n" + part + b"\r\n"
        )
        at += size
    return framed + b"0\r\n" + trailer + b"\r\n"


def chunked(rng: Rng, draft: Draft) -> bytes:
    extension, trailer = rng.choice(((b"", b""), (b";a=b", b""), (b"", b"X-Trailer: 1\r\n")))
    return draft.encode([_CHUNKED], chunks(rng, draft.body, extension=extension, trailer=trailer))


def odd_chunks(rng: Rng, draft: Draft) -> Framed:
    proper = chunks(rng, draft.body)
    size = b"%x" % len(draft.body)
    body = rng.choice(
        (
            proper[:-5],
            proper[:-2],
            proper.replace(b"\r\n", b"\n"),
            b"-" + proper,
            b"0x" + size + b"\r\n" + draft.body + b"\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\n" + draft.body,
            b"7fffffff\r\n" + draft.body,
            b"g\r\n" + draft.body,
            b"\r\n" + proper,
            b" " + proper,
            b"0\r\n\r\n" + proper,
            size + b";" + b"x" * rng.choice((10, 20_000)) + b"\r\n" + draft.body + b"\r\n0\r\n\r\n",
            b"1\r\na\r\n" * rng.choice((10, 2000)),
            proper[:-2] + b"X-T: 1\r\n" * rng.choice((1, 3000)) + b"\r\n",
            b"%x\r\n%b0\r\n\r\n" % (len(draft.body), draft.body),
            b"",
        )
    )
    framing: list[Header] = rng.choice(
        (
            [_CHUNKED],
            [_CHUNKED],
            [_CHUNKED, (_LENGTH, b"%d" % len(draft.body))],
            [(_LENGTH, b"%d" % len(body)), _CHUNKED],
            [(_CODING, b"Chunked")],
            [(_CODING, b"chunked, chunked")],
            [(_CODING, b"gzip, chunked")],
            [(_CODING, b"chunked, identity")],
            [(_CODING, b"identity"), (_LENGTH, b"%d" % len(draft.body))],
            [(_CODING, b"xchunked")],
            [(_CODING, b"\x0bchunked")],
            [(b"Transfer-Encoding ", b"chunked")],
            [(_CODING, b"")],
        )
    )
    return draft.encode(framing, body), Sending.UNCLEAR


def odd_lengths(rng: Rng, draft: Draft) -> Framed:
    size = len(draft.body)
    value = rng.choice(
        (
            *(
                b"%d" % (size + rng.choice((-5, -1, 1, 5, 100))),
                b"-1",
                b"-%d" % size,
                b"+%d" % size,
                b"0",
                b"",
            ),
            *(
                b"9" * 9,
                b"9" * 19,
                b"9" * 5000,
                b"18446744073709551616",
                b"18446744073709551615",
                b"2147483648",
            ),
            *(b"0x%x" % size, b"%d.0" % size, b"%d abc" % size, b"%de0" % size, b"\xd9\xa3", b"1_0", b"NaN"),
            *(b"%d,%d" % (size, size), b"%d, %d" % (size, size + 1), b"0%d" % size, b"65537", b"1048577"),
        )
    )
    framing: list[Header] = rng.choice(
        (
            [(_LENGTH, value)],
            [(_LENGTH, value)],
            [],
            [(_LENGTH, b"%d" % size), (_LENGTH, value)],
            [(_LENGTH, value), (_LENGTH, b"%d" % size)],
            [(_LENGTH, b"%d" % size), (_LENGTH, b"%d" % size)],
            [(b"Content_Length", value)],
            [(b"content-length ", value)],
        )
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
        framing.insert(
            rng.randrange(2), (_CODING, rng.choice((b"chunked", b"chunked ", b"xchunked", b"cow")))
        )
    return draft.encode(framing, outer + inner), Sending.UNCLEAR


def odd_line(rng: Rng, draft: Draft) -> Framed:
    """Methods, targets and versions."""
    whole = draft.encode()
    line, _, rest = whole.partition(b"\r\n")
    method, target, version = line.split(b" ")
    match rng.randrange(4):
        case 0:
            method = rng.choice(
                (
                    *(b"HEAD", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND"),
                    *(
                        b"post",
                        b"Post",
                        b"POSTT",
                        b"",
                        b"P\xc3\x96ST",
                        b"\0POST",
                        b"X" * 5000,
                        b"QUERY",
                        b"PRI",
                    ),
                )
            )
        case 1:
            target = rng.choice(
                (
                    *(
                        b"*",
                        b"",
                        b"/",
                        b"//",
                        b"http://h" + target,
                        b"https://user:p@h:1" + target,
                        b"hooks:443",
                    ),
                    *(target + b"#f", target + b"%", target + b"\0", target + b"\xff", b"\xc3\xa9" + target),
                    *(
                        target.replace(b"/", b"\\"),
                        target + b"?" * 3,
                        b"http://[::1" + target,
                        b"/../" + target,
                    ),
                    *(
                        target + b"x" * rng.choice((4000, 17_000, 70_000)),
                        b"/healthz",
                        b"/readyz",
                        b"/metrics",
                    ),
                    *(
                        target.replace(b"/s", b"/%73"),
                        b"/%" + target[1:],
                        target + b" HTTP/1.1\r\nX:",
                        b";" + target,
                    ),
                )
            )
        case 2:
            version = rng.choice(
                (
                    *(
                        b"HTTP/1.0",
                        b"HTTP/0.9",
                        b"HTTP/2.0",
                        b"HTTP/3",
                        b"HTTP/1.1 ",
                        b"http/1.1",
                        b"HTTP/1.10",
                    ),
                    *(b"", b"HTTP/", b"HTTP/1.\xff", b"ICY/1.0", b"HTTP/9.9", b"RTSP/1.0", b"HTTP/-1.1"),
                )
            )
        case _:
            line = rng.choice(
                (
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(40),
                    b"\r\n\r\n" + line,
                    line.replace(b" ", b"\t"),
                    line.replace(b" ", b"  "),
                    b" " + line,
                    line + b"\r",
                    line + b"\n",
                )
            )
            return line + b"\r\n" + rest, Sending.UNCLEAR
    return b" ".join((method, target, version)) + b"\r\n" + rest, Sending.UNCLEAR


def odd_head(rng: Rng, draft: Draft) -> Framed:
    """Headers that a parser, a proxy and an application may each read in another way."""
    right = draft.signature or b""
    extra: list[Header] = rng.choice(
        (
            [(b"X-Twilio-Signature", b"")],
            [(b"X-Twilio-Signature", rng.randbytes(20).replace(b"\r", b"").replace(b"\n", b""))],
            [(b"x-twilio-signature", right)],
            [(b"X-Twilio-Signature ", right)],
            [(b"X_Twilio_Signature", right)],
            [(b"Content-Type", b"application/json")],
            [(b"Expect", b"100-continue")],
            [(b"Expect", b"200-ok")],
            [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Key", b"x")],
            [(b"Upgrade", b"h2c"), (b"Connection", b"Upgrade, HTTP2-Settings"), (b"HTTP2-Settings", b"")],
            [(b"Connection", rng.choice((b"close", b"keep-alive", b"", b"close, keep-alive", b"x" * 500)))],
            [(b"Host", b"evil.example")],
            [
                (b"X-Forwarded-Host", b"evil.example"),
                (b"X-Forwarded-Proto", b"http"),
                (b"Forwarded", b"host=x"),
            ],
            [(b"X-HTTP-Method-Override", b"GET"), (b"X-Original-URL", b"/twilio/inbound")],
            [(b"Content-Encoding", rng.choice((b"gzip", b"br", b"identity")))],
            [(b"", b"no name")],
            [(b"X-Null", b"a\0b")],
            [(b"X-Bare", b"a\rb")],
            [(b"X-Fold", b"a\r\n b")],
            [(b"X-\xc3\xa9", b"\xc3\xa9\xff")],
            [(b"X-Many", b"x")] * rng.choice((2, 90, 150, 1000)),
            [(b"X" * rng.choice((1000, 20_000, 70_000)), b"")],
            [(b"I-Twilio-Idempotency-Token", b"a"), (b"Range", b"bytes=0-"), (b"If-Match", b"*")],
            [(b"no colon\r\nX", b"")],
        )
    )
    draft.headers += extra
    if rng.random() < 0.3:
        rng.shuffle(draft.headers)
    whole = draft.encode()
    if rng.random() < 0.1:
        head, gap, body = whole.partition(b"\r\n\r\n")
        whole = head.replace(b"\r\n", b"\n") + rng.choice((gap, b"\n\n")) + body
    return whole, Sending.UNCLEAR


def content_type(rng: Rng, draft: Draft) -> Framed:
    """Types, charsets and parameters; a proper request in all else."""
    draft.content_type = rng.choice(
        (
            *(None, b"", b"application/x-www-form-urlencoded", b"APPLICATION/X-WWW-FORM-URLENCODED"),
            *(
                b"application/x-www-form-urlencoded;charset=utf-16",
                b"application/x-www-form-urlencoded; =",
                b";",
            ),
            *(
                b"application/x-www-form-urlencoded, text/plain",
                b"multipart/form-data",
                b"text/plain",
                b"*/*",
            ),
            *(b"multipart/form-data; boundary=x", b"application/json", b"application/json; charset=utf-16"),
            *(b"application/cloudevents-batch+json", b"text/json", b"\xff", b"x" * 5000, b"application/xml"),
            *(
                b" application/x-www-form-urlencoded ;",
                b"application/x-www-form-urlencoded\t;\tcharset=latin-1",
            ),
        )
    )
    return draft.encode(), Sending.WHOLE


def bad_escapes(rng: Rng, draft: Draft) -> Framed:
    """Escapes that are none, overlong, half, of surrogates, and raw bytes that are not UTF-8."""
    bad = rng.choice(
        (
            *(
                b"%",
                b"%%",
                b"%1",
                b"%ZZ",
                b"%u0041",
                b"%00",
                b"%c0%80",
                b"%C0%AF",
                b"%E0%80%AF",
                b"%f8%88%80%80",
            ),
            *(b"%ed%a0%80", b"%ED%B0%80", b"%ED%A0%80%ED%B0%80", b"%ff", b"%c3", b"%e2%98", b"%F4%90%80%80"),
            *(
                b"\xff",
                b"\xc3",
                b"\xc0\x80",
                b"\xed\xa0\x80",
                b"\0",
                b"%c3\xa9",
                b"\xc3%a9",
                b"%EF%BB%BF",
                b"%2",
            ),
            *(
                b"%2526",
                b"%26amp;",
                b"+%2B%2b",
                b"%E2%98%83",
                b"\xe2\x98\x83",
                b"&&&&",
                b"=",
                b"==",
                b"&=",
                b";",
            ),
        )
    )
    at = rng.choice([at for at, byte in enumerate(draft.body) if byte in b"=&"] or [0])
    at += rng.randrange(2)
    draft.body = draft.body[:at] + bad + draft.body[at:]
    if rng.random() < 0.6 and draft.path != EVENTS:  # what it would be if somebody signed it
        draft.pairs = _read(draft.body)
        signed(draft)
    return draft.encode(), Sending.WHOLE


def changed_bytes(rng: Rng, draft: Draft) -> Framed:
    """A genuine request with some bytes flipped, gone, doubled or put in."""
    raw = bytearray(draft.encode())
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
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
                raw[at:at] = rng.choice(
                    (b"\r\n", b"\0", b"\xff", b" ", b":", b"\n", b"&", b"%00", b"=", b"\r")
                )
        if not raw:
            break
    return bytes(raw), Sending.UNCLEAR


def noise(rng: Rng, number: int) -> Framed:
    """No request at all."""
    length = rng.choice((1, 10, 300, 5000))
    raw = rng.choice(
        (
            rng.randbytes(length),
            marker(number).encode() * (length // 18 + 1),
            b"\r\n" * length,
            b"GET " * length,
            b"GET / HTTP/1.1\r\n" * length,
            b"\0" * length,
            b"POST /twilio/status HTTP/1.1\r\n" + rng.randbytes(length),
            b": \r\n" * length,
        )
    )
    return raw, Sending.UNCLEAR


def cut(rng: Rng, draft: Draft) -> Framed:
    """The client goes away in the middle."""
    raw = draft.encode()
    return raw[: rng.randrange(1, len(raw))], Sending.CUT


def stalled(rng: Rng, draft: Draft) -> Framed:
    """The client stays, and says nothing more."""
    raw = draft.encode()
    end_of_head = raw.index(b"\r\n\r\n") + 4
    in_head = rng.random() < 0.5 or end_of_head == len(raw)
    return raw[: rng.randrange(1, end_of_head) if in_head else rng.randrange(end_of_head, len(raw))], (
        Sending.STALLED
    )


def _read(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")


Framer = Callable[[Rng, Draft], Framed]
