"""Request lines and headers that are no proper HTTP, or that every reader may read in another way.

Each function gives the bytes of one request, made of a genuine one, and how to send them.
"""

from __future__ import annotations

from tests.fuzz.ingress.values import Rng
from tests.fuzz.ingress.wire import Draft, Framed, Header, Sending

_METHODS = (
    *b"HEAD PUT DELETE PATCH OPTIONS TRACE CONNECT PROPFIND QUERY PRI post Post POSTT \0POST".split(b" "),
    *(b"", b"P\xc3\x96ST", b"X" * 5000),
)
_VERSIONS = (
    *b"HTTP/1.0 HTTP/0.9 HTTP/2.0 HTTP/3 http/1.1 HTTP/1.10 HTTP/ HTTP/9.9 HTTP/-1.1 ICY/1.0".split(),
    *(b"", b"HTTP/1.1 ", b"HTTP/1.\xff", b"RTSP/1.0"),
)
_SIGNATURE = b"X-Twilio-Signature"
_EXTRA_HEADERS: tuple[list[Header], ...] = (
    *([(_SIGNATURE, value)] for value in (b"", b"A" * 27 + b"=", b"\xff\xfe\x80")),
    [(b"Content-Type", b"application/json")],
    *([(b"Expect", value)] for value in (b"100-continue", b"200-ok")),
    [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Key", b"x")],
    [(b"Upgrade", b"h2c"), (b"Connection", b"Upgrade, HTTP2-Settings"), (b"HTTP2-Settings", b"")],
    *([(b"Connection", value)] for value in (b"close", b"keep-alive", b"", b"close, keep-alive", b"x" * 500)),
    [(b"Host", b"evil.example")],
    [(b"X-Forwarded-Host", b"evil.example"), (b"X-Forwarded-Proto", b"http"), (b"Forwarded", b"host=x")],
    [(b"X-HTTP-Method-Override", b"GET"), (b"X-Original-URL", b"/twilio/inbound")],
    *([(b"Content-Encoding", value)] for value in (b"gzip", b"br", b"identity")),
    *([(b"X-Odd", value)] for value in (b"a\0b", b"a\rb", b"a\r\n b", b"\xc3\xa9\xff", b"\x7f")),
    *([(name, b"x")] for name in (b"", b"X-\xc3\xa9", b"no colon\r\nX", b"X Y", b"X\t")),
    *([(b"X-Many", b"x")] * count for count in (2, 90, 150, 1000)),
    *([(b"X" * length, b"")] for length in (1000, 20_000, 70_000)),
    [(b"I-Twilio-Idempotency-Token", b"a"), (b"Range", b"bytes=0-"), (b"If-Match", b"*")],
)
_FORM = b"application/x-www-form-urlencoded"
_CONTENT_TYPES = (
    *(None, b"", _FORM, _FORM.upper(), _FORM + b";charset=utf-16", _FORM + b"; =", _FORM + b", text/plain"),
    *(b" " + _FORM + b" ;", _FORM + b"\t;\tcharset=latin-1", b";", b"*/*", b"\xff", b"x" * 5000),
    *(b"multipart/form-data", b"multipart/form-data; boundary=x", b"text/plain", b"text/json"),
    *(b"application/json", b"application/json; charset=utf-16", b"application/cloudevents-batch+json"),
)


def odd_line(rng: Rng, draft: Draft) -> Framed:
    """Methods, targets and versions."""
    line, _, rest = draft.encode().partition(b"\r\n")
    method, target, version = line.split(b" ")
    match rng.randrange(4):
        case 0:
            line = b" ".join((rng.choice(_METHODS), target, version))
        case 1:
            line = b" ".join((method, rng.choice(_targets(rng, target)), version))
        case 2:
            line = b" ".join((method, target, rng.choice(_VERSIONS)))
        case _:
            line = rng.choice(_lines(rng, line))
    return line + b"\r\n" + rest, Sending.UNCLEAR


def _targets(rng: Rng, target: bytes) -> tuple[bytes, ...]:
    return (
        *(b"*", b"", b"/", b"//", b"/healthz", b"/readyz", b"/metrics", b"hooks:443", b"/../" + target),
        *(b"http://h" + target, b"https://user:p@h:1" + target, b"http://[::1" + target, b";" + target),
        *(target + odd for odd in (b"#f", b"%", b"\0", b"\xff", b"???", b" HTTP/1.1\r\nX:")),
        *(b"\xc3\xa9" + target, target.replace(b"/", b"\\"), target.replace(b"/s", b"/%73"), b"/%" + target),
        target + b"x" * rng.choice((4000, 8300, 17_000, 70_000)),
    )


def _lines(rng: Rng, line: bytes) -> tuple[bytes, ...]:
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(40),  # TLS
        *(b"\r\n\r\n" + line, b" " + line, line + b"\r", line + b"\n"),
        *(line.replace(b" ", b"\t"), line.replace(b" ", b"  ")),
    )


def odd_head(rng: Rng, draft: Draft) -> Framed:
    """Headers that a parser, a proxy and an application may each read in another way."""
    right = draft.signature or b""
    renamed: list[Header] = [(b"X-Twilio-Signature ", right), (b"X_Twilio_Signature", right)]
    if rng.random() < 0.1:
        draft.signature = None
        draft.headers.append(rng.choice((*renamed, (_SIGNATURE.lower(), right))))
    else:
        draft.headers += rng.choice(_EXTRA_HEADERS)
    if rng.random() < 0.3:
        rng.shuffle(draft.headers)
    whole = draft.encode()
    if rng.random() < 0.1:
        head, gap, body = whole.partition(b"\r\n\r\n")
        whole = head.replace(b"\r\n", b"\n") + rng.choice((gap, b"\n\n")) + body
    return whole, Sending.UNCLEAR


def content_type(rng: Rng, draft: Draft) -> Framed:
    """Types, charsets and parameters; a proper request in all else."""
    draft.content_type = rng.choice(_CONTENT_TYPES)
    return draft.encode(), Sending.WHOLE
