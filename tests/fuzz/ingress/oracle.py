"""Was this request validly signed? Decided from its bytes alone, by Twilio's SDK and the standard library.

Guarantees: knows nothing of the generator's intent and uses nothing of `ingress`; reads generously: where the
bytes can be framed in several ways (two content-lengths, a request behind a request), every way is looked at,
and each that was signed is one of the readings. So a record is right when it says what one of them says, and
only then. A forger has none, however the bytes are framed.
Leaves to others: whether something genuine is refused for its size or content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, parse_qsl, unquote

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, get_signature_algorithm

from tests.fuzz.ingress.sdk import TOKENS, signs
from tests.fuzz.ingress.wire import Pair

_START = re.compile(rb"(GET|POST)[ \t]+([^ \t\r\n]+)[ \t]+[A-Z]+/[0-9.]+[ \t\r]*\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_AUTHORITY = re.compile(r"\A[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[^\r\n]*\r?\n")


@dataclass(frozen=True, slots=True)
class Signed:
    """One way to read the bytes in which they are a genuine request. `pairs` of a form, `body` of JSON."""

    path: str
    query: str
    account: str
    pairs: tuple[Pair, ...] | None
    body: bytes | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """Of a repeated name the first value, as the ingress promises."""
        return dict(reversed(self.pairs or ()))

    @property
    def of_query(self) -> dict[str, list[str]]:
        return parse_qs(self.query)

    @property
    def records(self) -> int:
        """How many an answer of 2xx stands for: one for each event of a batch, or for a form."""
        if self.body is None:
            return 1
        try:
            return len(json.loads(self.body))
        except (ValueError, TypeError, RecursionError):
            # Python reads less than JSON allows (numbers of 4,300 digits); markers count the rest.
            return 1


def judge(raw: bytes) -> tuple[Signed, ...]:
    """Every reading of the bytes that was signed by an account with its own token; none for a forgery."""
    found: list[Signed] = []
    end: re.Match[bytes] | None = None
    for start in _START.finditer(raw):
        if end is None or end.start() < start.end() - 2:
            end = _END_OF_HEAD.search(raw, start.end() - 2)
        if end is None:
            break
        found += _readings(raw, start, end)
    return tuple(found)


def _readings(raw: bytes, start: re.Match[bytes], end: re.Match[bytes]) -> Iterator[Signed]:
    headers = _headers(raw[start.end() : end.start()])
    signatures = headers.get(b"x-twilio-signature")
    if not signatures:
        return
    try:
        asked = _AUTHORITY.sub("", start[2].decode(), count=1)
    except UnicodeDecodeError:
        return
    target = asked.partition("#")[0]  # never a part of what is signed
    if not target.startswith("/"):
        return
    for algorithm in _algorithms(headers):
        for given in signatures:
            text = given.decode("latin-1")
            if start[1] == b"GET":
                yield from _of_get(target, text, algorithm)
            elif start[1] == b"POST":
                for body in dict.fromkeys(_bodies(headers, raw[end.end() :])):
                    yield from _of_post(target, body, text, algorithm)


def _of_get(target: str, given: str, algorithm: str) -> Iterator[Signed]:
    path, _, query = target.partition("?")
    pairs = _pairs(query.encode())
    account = _account(pairs)
    if pairs and account and signs(account, target, [], given, algorithm):
        yield Signed(unquote(path), query, account, tuple(pairs))


def _of_post(target: str, body: bytes, given: str, algorithm: str) -> Iterator[Signed]:
    path, _, query = target.partition("?")
    if "bodySHA256" in query:
        for signer in TOKENS:
            if signs(signer, target, body, given, algorithm):
                yield Signed(unquote(path), query, signer, None, body)
    pairs = _pairs(body)
    account = _account(pairs)
    if pairs and account and signs(account, target, pairs, given, algorithm):
        yield Signed(unquote(path), query, account, tuple(pairs))


def _account(pairs: list[Pair] | None) -> str | None:
    named = next((value for name, value in pairs or () if name == "AccountSid"), None)
    return named if named in TOKENS else None


def _pairs(encoded: bytes) -> list[Pair] | None:
    try:
        return parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        return None


def _headers(head: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in re.split(rb"\r?\n", head):
        name, _, value = line.partition(b":")
        found.setdefault(name.strip().lower(), []).append(value.strip(b" \t"))
    return found


def _algorithms(headers: dict[bytes, list[bytes]]) -> set[str]:
    settings = headers.get(b"x-twilio-webhooks-signature-settings")
    if not settings:
        return {HMAC_SHA1}
    named = {str(get_signature_algorithm(value.decode("latin-1"))).upper() for value in settings}
    return named & {HMAC_SHA1, HMAC_SHA256}


def _bodies(headers: dict[bytes, list[bytes]], rest: bytes) -> Iterator[bytes]:
    for value in headers.get(b"transfer-encoding", ()):
        if b"chunked" in value.lower():
            yield _unchunked(rest)
    for value in headers.get(b"content-length", ()):
        for length in re.findall(rb"\d{1,9}", value):
            yield rest[: int(length)]
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        yield b""


def _unchunked(rest: bytes) -> bytes:
    body, at = b"", 0
    while (size := _CHUNK.match(rest, at)) is not None and (length := int(size[1], 16)) > 0:
        body += rest[size.end() : size.end() + length]
        at = size.end() + length
        at += 2 if rest[at : at + 2] == b"\r\n" else rest[at : at + 1] == b"\n"
    return body
