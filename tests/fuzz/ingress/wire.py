"""A generated request: its bytes, how they are sent, and what must come of it.

Guarantees: types and framing only. Every request carries its number in each value that could reach a record
(`marker`), so that a record can be traced to the one request that caused it.
Leaves to others: what stands in it, and whether it was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

FORM = b"application/x-www-form-urlencoded; charset=utf-8"
JSON = b"application/json"
LONGEST_NUMBER = 8  # decimal digits

_MARKER = re.compile(rb"70371(\d{8})17307")

Header = tuple[bytes, bytes]
Pair = tuple[str, str]


def marker(number: int) -> str:
    """18 decimal digits: fit for a SID, a JSON number and a form value alike."""
    return f"70371{number:0{LONGEST_NUMBER}d}17307"


def numbers_in(content: bytes) -> set[int]:
    """The numbers of all requests whose marker stands there."""
    return {int(found) for found in _MARKER.findall(content)}


class Sending(Enum):
    """How the bytes are sent, and so what the server owes."""

    WHOLE = auto()
    """All at once; an answer is owed."""
    PIECES = auto()
    """In several writes; an answer is owed."""
    UNCLEAR = auto()
    """Perhaps not a whole request: our side is closed after a moment; an answer or a close is owed."""
    CUT = auto()
    """Not a whole request, and our side is closed at once; a close is owed."""
    STALLED = auto()
    """Not a whole request, and nothing follows; the server has to end it by itself."""

    @property
    def owes_an_answer(self) -> bool:
        return self in (Sending.WHOLE, Sending.PIECES)


Framed = tuple[bytes, Sending]
"""The bytes of a request that is to be sent like this."""


@dataclass(frozen=True, slots=True)
class Request:
    """`must_accept`: genuine and within all limits. `answers`: how many are owed."""

    number: int
    kind: str
    raw: bytes
    sending: Sending = Sending.WHOLE
    must_accept: bool = False
    answers: int = 1


@dataclass(slots=True)
class Draft:
    """A request before it is bytes. `pairs` are what the body or the query of a form says."""

    path: str
    query: str
    account: str
    token: str
    pairs: list[Pair] = field(default_factory=list)
    body: bytes = b""
    content_type: bytes | None = FORM
    method: str = "POST"
    version: bytes = b"HTTP/1.1"
    signature: bytes | None = None
    headers: list[Header] = field(default_factory=list)

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def all_headers(self, framing: list[Header] | None = None) -> list[Header]:
        """`framing` in place of the right content-length."""
        found: list[Header] = [(b"Host", b"hooks.example.com"), *self.headers]
        if self.content_type is not None and self.method != "GET":
            found.append((b"Content-Type", self.content_type))
        if self.signature is not None:
            found.append((b"X-Twilio-Signature", self.signature))
        if framing is not None:
            found += framing
        elif self.method != "GET":
            found.append((b"Content-Length", b"%d" % len(self.body)))
        return found

    def encode(self, framing: list[Header] | None = None, body: bytes | None = None) -> bytes:
        """The bytes; `body` as it is framed, when that is not by its length."""
        lines = [f"{self.method} {self.target} ".encode() + self.version]
        lines += [name + b": " + value for name, value in self.all_headers(framing)]
        sent = self.body if body is None else body
        return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if self.method == "GET" else sent)
