"""A row as bytes, the same in the changelog and on the disk.

    version (1 byte) | due_at (8 bytes, big-endian, 0: none) | the row as MessagePack

The deadline stands in front so that recovery can index it without reading the row. A field is added at the
end of a row with a default, which an old row then has; anything else is a new version. Not Avro: nobody but
these processors reads the changelog, and MessagePack through msgspec costs a tenth.
"""

import struct
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from streams.store.errors import RowUnreadable

R = TypeVar("R", bound=msgspec.Struct)

VERSION = 1
_HEAD = struct.Struct(">BQ")


class RowCodec(Generic[R]):
    """Rows of one type. `due_at` tells a row's deadline (ms), or None."""

    __slots__ = ("_decoder", "_encode", "_name", "due_at")

    def __init__(self, row_type: type[R], due_at: Callable[[R], int | None]) -> None:
        self.due_at = due_at
        self._name = row_type.__name__
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder = msgspec.msgpack.Decoder(row_type)

    def encode(self, row: R) -> bytes:
        return _HEAD.pack(VERSION, self.due_at(row) or 0) + self._encode(row)

    def decode(self, value: bytes) -> R:
        """Raises RowUnreadable."""
        if value[0] != VERSION:
            raise RowUnreadable(
                f"a {self._name} of version {value[0]}, and this program reads version {VERSION}: it was "
                "written by another release; start that one again, or newer"
            )
        try:
            return self._decoder.decode(memoryview(value)[_HEAD.size :])
        except msgspec.MsgspecError as wrong:
            raise RowUnreadable(f"{len(value)} bytes are no {self._name}: {type(wrong).__name__}") from wrong


def deadline_of(value: bytes) -> int | None:
    """The deadline (ms) in a row's bytes, or None. Raises RowUnreadable."""
    if len(value) < _HEAD.size or value[0] != VERSION:
        raise RowUnreadable(f"{len(value)} bytes that do not begin as a row of version {VERSION}")
    return int.from_bytes(value[1 : _HEAD.size], "big") or None
