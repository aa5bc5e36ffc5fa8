"""The cursor: what of the segments was already forgotten, so that a restart does not give it out again. Pure.

Guarantees: what `read` returns was written by `written` as it is, or it is empty. Segments are named by their
random marker and entries by byte offset, so an old cursor, which a power failure may bring back, never
hides an entry that was not forgotten when it was written.
Leaves to others: the file. It may be lost or old at any time: entries are then given out twice.
"""

import zlib
from collections.abc import Mapping

import msgspec

NAME = "cursor"
_VERSION = 1


class Forgotten(msgspec.Struct, frozen=True):
    """Of one segment: every entry that begins before `before`, and those that begin at one of `beyond`."""

    before: int
    beyond: tuple[int, ...] = ()


class _Cursor(msgspec.Struct, frozen=True):
    version: int
    segments: dict[str, Forgotten]


def written(segments: Mapping[bytes, Forgotten]) -> bytes:
    """The content of the cursor file, for what was forgotten by the segments' markers."""
    text = msgspec.json.encode(_Cursor(_VERSION, {marker.hex(): gone for marker, gone in segments.items()}))
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read(data: bytes) -> dict[bytes, Forgotten] | None:
    """What was forgotten, by marker; None when this is not a whole cursor of this version."""
    checksum, _, text = data.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        cursor = msgspec.json.decode(text, type=_Cursor)
        known = {bytes.fromhex(marker): gone for marker, gone in cursor.segments.items()}
    except ValueError:  # msgspec's errors are ValueErrors too
        return None
    return known if cursor.version == _VERSION else None
