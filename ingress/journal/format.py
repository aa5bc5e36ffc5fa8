"""The bytes of a segment file: a header, then entries one after another. Pure: bytes in, bytes out.

    header   magic "nsjournl" | version u16 | marker, 8 random bytes | CRC-32 of these
    entry    marker | length of the body u32 | CRC-32 of these two | CRC-32 of the body | body
    body     received_at i64 | length of the topic u32 | length of the key u32 | topic | key | value

Integers are big-endian, texts UTF-8. Guarantees: an entry is read back as it was written or not at all;
of a file that was cut anywhere all whole entries are found, and what is left of the next one is told from
damage; after damage reading goes on at the next whole entry. The marker, random for each segment as in
Avro's container files, makes that safe: nobody outside can write a value that passes for an entry, and no
entry of another segment passes for one of this.
Leaves to others: files.
"""

import struct
import zlib
from typing import NamedTuple

from ingress.journal.entries import Entry

MARKER_BYTES = 8
_MAGIC = b"nsjournl"
_VERSION = 1
_HEAD = struct.Struct(f">8sH{MARKER_BYTES}s")
_CRC = struct.Struct(">I")
_ANNOUNCED = struct.Struct(f">{MARKER_BYTES}sI")
_FRAME = struct.Struct(f">{MARKER_BYTES}sIII")
_BODY = struct.Struct(">qII")
HEADER_BYTES = _HEAD.size + _CRC.size
FRAME_BYTES = _FRAME.size


class UnknownVersion(ValueError):
    """A whole header of a version that this code cannot read."""


class Found(NamedTuple):
    """An entry and the bytes it takes: from `offset` up to, not including, `end`."""

    offset: int
    end: int
    entry: Entry


class Scan(NamedTuple):
    """What is in a segment's bytes.

    `end`: where the last whole entry ends, or the last damage; behind it is only a torn tail, if anything.
    `damaged`: stretches of bytes that should be entries and are not, as (offset, end). `marker` is empty
    when the bytes end within the header or nothing in them is readable.
    """

    marker: bytes
    found: tuple[Found, ...]
    damaged: tuple[tuple[int, int], ...]
    end: int


def header(marker: bytes) -> bytes:
    """The first HEADER_BYTES of a segment."""
    head = _HEAD.pack(_MAGIC, _VERSION, marker)
    return head + _CRC.pack(zlib.crc32(head))


def encode(entry: Entry) -> bytes:
    """The body of an entry. Raises UnicodeEncodeError for a topic or key that is not valid Unicode."""
    topic, key = entry.topic.encode(), entry.key.encode()
    return _BODY.pack(entry.received_at, len(topic), len(key)) + topic + key + entry.value


def frame(marker: bytes, body: bytes) -> bytes:
    """FRAME_BYTES and the body: an entry as it is in the segment with this marker."""
    announced = _ANNOUNCED.pack(marker, len(body))
    return announced + _CRC.pack(zlib.crc32(announced)) + _CRC.pack(zlib.crc32(body)) + body


def decode(data: bytes, offset: int, marker: bytes) -> Found | None:
    """The entry that begins at `offset`; None when there is no whole, undamaged one."""
    end = _announced_end(data, offset, marker)
    if end is None or end > len(data):
        return None
    begin = offset + FRAME_BYTES
    body = data[begin:end]
    if zlib.crc32(body) != _FRAME.unpack_from(data, offset)[3]:
        return None
    entry = _entry(body)
    return None if entry is None else Found(offset, end, entry)


def scan(data: bytes) -> Scan:
    """Everything that can be read of a segment. Raises UnknownVersion."""
    if len(data) < HEADER_BYTES:
        return Scan(b"", (), (), 0)
    head, (checksum,) = data[: _HEAD.size], _CRC.unpack_from(data, _HEAD.size)
    magic, version, marker = _HEAD.unpack(head)
    if zlib.crc32(head) == checksum:
        if magic != _MAGIC or version != _VERSION:
            raise UnknownVersion(f"format {magic!r} version {version}, this is {_MAGIC!r} version {_VERSION}")
        return _entries(data, marker)
    if not any(data):  # a file whose length reached the disk before its content
        return Scan(b"", (), (), 0)
    # The marker is there again before the first entry: take the one with which more can be read.
    again = data[HEADER_BYTES : HEADER_BYTES + MARKER_BYTES]
    best = max((_entries(data, tried) for tried in (marker, again)), key=lambda s: len(s.found))
    if not best.found:
        return Scan(b"", (), ((0, len(data)),), len(data))
    return best._replace(damaged=((0, HEADER_BYTES), *best.damaged))


def _entries(data: bytes, marker: bytes) -> Scan:
    found: list[Found] = []
    damaged: list[tuple[int, int]] = []
    offset = HEADER_BYTES
    while offset < len(data):
        entry = decode(data, offset, marker)
        if entry is None:
            entry = _next(data, offset + 1, marker)
            if entry is None:
                if _is_torn(data, offset, marker):
                    return Scan(marker, tuple(found), tuple(damaged), offset)
                damaged.append((offset, len(data)))
                break
            damaged.append((offset, entry.offset))
        found.append(entry)
        offset = entry.end
    return Scan(marker, tuple(found), tuple(damaged), len(data))


def _next(data: bytes, offset: int, marker: bytes) -> Found | None:
    """The first whole entry at or behind `offset`. Lengths of what is damaged are not believed."""
    while (offset := data.find(marker, offset)) >= 0:
        if (entry := decode(data, offset, marker)) is not None:
            return entry
        offset += 1
    return None


def _is_torn(data: bytes, offset: int, marker: bytes) -> bool:
    """Whether the bytes from `offset` are the beginning of an entry whose end was never written.

    Too few bytes for a frame, a frame that announces more than there is, or nothing but zeros (the length
    reached the disk before the content). A frame has a checksum of its own, so that a damaged length does
    not pass for a cut: what was acknowledged is never cut off silently.
    """
    if len(data) - offset < FRAME_BYTES or not any(data[offset:]):
        return True
    end = _announced_end(data, offset, marker)
    return end is not None and end > len(data)


def _announced_end(data: bytes, offset: int, marker: bytes) -> int | None:
    if len(data) - offset < FRAME_BYTES:
        return None
    begins_with, length, checksum, _ = _FRAME.unpack_from(data, offset)
    if begins_with != marker or zlib.crc32(_ANNOUNCED.pack(marker, length)) != checksum:
        return None
    return offset + FRAME_BYTES + int(length)


def _entry(body: bytes) -> Entry | None:
    if len(body) < _BODY.size:
        return None
    received_at, topic_bytes, key_bytes = _BODY.unpack_from(body)
    key_at = _BODY.size + topic_bytes
    value_at = key_at + key_bytes
    if value_at > len(body):
        return None
    try:
        topic, key = body[_BODY.size : key_at].decode(), body[key_at:value_at].decode()
    except UnicodeDecodeError:
        return None
    return Entry(topic, key, body[value_at:], received_at)
