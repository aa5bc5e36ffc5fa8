"""Many Avro bodies of one schema, read at once into columns.

Guarantees: what is returned is exactly what each body holds, record by record: between the bodies stands a
number nobody could know, and it must be found behind every record. Anything else is Unreadable, whole.
Leaves to the caller to find out which record it is, and to say so in words.

The bodies become the one block of an Avro object container file (Avro 1.12, "Object Container Files"), which
polars reads. polars knows no `map`, which on the wire is an array of (key, value) records, and cuts an `int`
that is too long for it silently: the schema it is given says array, and long. Columns that are not asked for
are passed over by their length: what is wrong inside of them costs the record nothing.

polars (2.1, `polars_arrow::io::avro::read::deserialize`) takes slices of the lengths it reads without looking
whether there is so much, and a slice beyond the end is a panic, whose message Rust writes to stderr before
anybody can catch it. A body that was cut is read on into what stands behind it; so that is made such that
who reads it meets an error instead: `_unknowable` and `_BEYOND`. Lengths that were in the broken body itself
may still lead out of the block. The message then holds that length and the block's: numbers, and nothing of a
text, because a byte of ASCII is a length below 64 (a test says so).
"""

import json
import secrets
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import polars as pl

_END = "_end"
_SYNC = bytes(16)
_MAGIC = b"Obj\x01"
# Behind the last body: no text, a number without an end, and more than any length in two bytes leads over.
_BEYOND = b"\xff" * 8_192


class Unreadable(Exception):
    """At least one of these bodies is not a record of the schema."""


class BlockReader:
    """Reads bodies written with one schema. `wanted` are the fields to return. Safe to share."""

    def __init__(self, schema_text: str, wanted: frozenset[str]) -> None:
        schema = json.loads(schema_text)
        fields = [
            {"name": field["name"], "type": _readable(field["type"], field["name"])}
            for field in schema["fields"]
        ]
        self._columns = [field["name"] for field in fields if field["name"] in wanted]
        self._end = _unknowable()
        self._expected = _number(self._end)
        record = {"type": "record", "name": "Row", "fields": [*fields, {"name": _END, "type": "long"}]}
        self._head = _MAGIC + _metadata({"avro.schema": json.dumps(record), "avro.codec": "null"}) + _SYNC

    def read(self, bodies: Sequence[bytes]) -> pl.DataFrame:
        """One row per body, in order. Raises Unreadable."""
        data = self._end.join(bodies) + self._end + _BEYOND
        file = b"".join((self._head, _varint(len(bodies) << 1), _varint(len(data) << 1), data, _SYNC))
        try:
            frame = pl.read_avro(BytesIO(file), columns=[*self._columns, _END])
        except (Exception, pl.exceptions.PanicException) as broken:
            # As with fastavro: it raises whatever the bytes lead it into, and a panic is no Exception.
            raise Unreadable(f"{len(bodies)} bodies: {type(broken).__name__}") from broken
        if frame.height != len(bodies) or not (frame.get_column(_END) == self._expected).all():
            raise Unreadable(f"{len(bodies)} bodies: one of them is longer or shorter than its record")
        return frame.drop(_END)


def _unknowable() -> bytes:
    """An Avro long nobody could know (48 bits of chance), and that nothing else can be made of.

    Every byte is odd, so whoever takes it, or its end, for a length gets a negative one, which polars
    refuses; it has all ten bytes a long may have, so a number that was cut before it gets too long; and its
    first byte is never in a text (RFC 3629 section 3), so no text can go on into it.
    """
    middle = (0x81 | secrets.randbelow(64) << 1 for _ in range(8))
    return bytes((0xFF, *middle, 0x01))


def _number(varint: bytes) -> int:
    """The long in these bytes (Avro 1.12, "Binary Encoding": zig-zag, then seven bits a byte)."""
    coded = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(varint))
    return (coded >> 1) ^ -(coded & 1)


def _readable(node: Any, path: str) -> Any:
    """The type as polars may read it: the same bytes, in types it knows."""
    match node:
        case "int":
            return "long"
        case str():
            return node
        case list():
            return [_readable(option, path) for option in node]
        case {"type": "map", "values": values}:
            pair = [
                {"name": "key", "type": "string"},
                {"name": "value", "type": _readable(values, path + "_value")},
            ]
            return {"type": "array", "items": {"type": "record", "name": path + "_pair", "fields": pair}}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _readable(items, path + "_item")}
        case {"type": "record", "fields": fields}:
            inner = [
                {"name": field["name"], "type": _readable(field["type"], f"{path}_{field['name']}")}
                for field in fields
            ]
            return {"type": "record", "name": path + "_record", "fields": inner}
        case {"type": plain}:
            return _readable(plain, path)
        case _:
            raise ValueError(f"{path}: {node!r} is no Avro type")


def _metadata(entries: dict[str, str]) -> bytes:
    pairs = b"".join(_bytes(key) + _bytes(value) for key, value in entries.items())
    return _varint(len(entries) << 1) + pairs + b"\x00"


def _bytes(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data) << 1) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
