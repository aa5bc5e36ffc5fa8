"""A request that shows something wrong, made smaller for as long as it still shows it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterator

_LENGTH = re.compile(rb"(?im)^(content-length: *)\d+")

LONGEST_S = 20.0

StillWrong = Callable[[bytes], Awaitable[bool]]


async def shrunk(raw: bytes, still_wrong: StillWrong) -> bytes:
    """Without the headers and parameters that do not matter, as far as that comes in `LONGEST_S` seconds."""
    give_up = time.monotonic() + LONGEST_S
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(raw):
            if time.monotonic() > give_up:
                return raw
            if await still_wrong(candidate):
                raw, smaller = candidate, True
                break
    return raw


def _smaller(raw: bytes) -> Iterator[bytes]:
    head, gap, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    for at in range(len(headers)):
        yield b"\r\n".join([line, *headers[:at], *headers[at + 1 :]]) + gap + body
    framed = _LENGTH.search(head)
    for fewer in _fewer(body):
        # A length that was wrong stays as it is: that may be the point.
        right = framed is not None and framed[0] == framed[1] + b"%d" % len(body)
        yield (_LENGTH.sub(rb"\g<1>%d" % len(fewer), head) if right else head) + gap + fewer
    path, mark, query = line.partition(b"?")
    if mark:
        query, space, version = query.partition(b" ")
        for fewer in _fewer(query):
            yield b"\r\n".join([path + mark + fewer + space + version, *headers]) + gap + body


def _fewer(form: bytes) -> Iterator[bytes]:
    fields = form.split(b"&")
    half = len(fields) // 2
    if half > 1:
        yield b"&".join(fields[:half])
        yield b"&".join(fields[half:])
    if 1 < len(fields) <= 60:
        for at in range(len(fields)):
            yield b"&".join(fields[:at] + fields[at + 1 :])
