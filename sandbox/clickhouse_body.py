"""Reading an HTTP request's body for ClickHouse: decompressed, bounded, forms taken apart.

Guarantees: gives up at the first chunk that takes the decompressed body beyond the limit; an unknown, broken
or cut encoding is refused with ClickHouse's code.
Leaves to `clickhouse_http` what the body means.
"""

import bz2
import lzma
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]  # it has no types, and lz4 is no dependency of its own

from sandbox.clickhouse_errors import Code, refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Decompressor(Protocol):
    """What the decompressors of the standard library and of lz4 have in common: each reads one frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, /) -> bytes: ...


DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": zlib.decompressobj,
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "xz": lzma.LZMADecompressor,
    "bz2": bz2.BZ2Decompressor,
}
BROKEN = (zlib.error, zstd.ZstdError, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a multipart form: what ClickHouse takes like the parameters of the URL."""

    fields: tuple[tuple[str, str], ...]


async def read_body(chunks: AsyncIterator[bytes], encoding: str, *, limit: int) -> bytes:
    """The whole body, at most `limit` bytes after decompression.

    `encoding` is the Content-Encoding: empty, gzip, deflate, zstd, lz4 (frames), xz or bz2. Raises
    ClickHouseError QUERY_IS_TOO_LARGE, UNKNOWN_COMPRESSION_METHOD or CANNOT_DECOMPRESS.
    """
    if encoding not in ("", "identity") and encoding not in DECOMPRESSORS:
        raise refusal(
            Code.UNKNOWN_COMPRESSION_METHOD,
            f"Unknown compression method: {encoding}; this server knows {', '.join(DECOMPRESSORS)}",
        )
    frames = _Frames(encoding) if encoding in DECOMPRESSORS else None
    body = bytearray()
    async for chunk in chunks:
        body += chunk if frames is None else frames.feed(chunk)
        if len(body) > limit:
            raise refusal(
                Code.QUERY_IS_TOO_LARGE,
                f"The body is larger than {limit} bytes: insert in smaller batches, or raise --max-body-mb",
            )
    if frames is not None:
        frames.finish()
    return bytes(body)


class _Frames:
    """A compressed body as clients write it: one frame (a gzip member, an lz4 frame, …) after the other.

    clickhouse-connect starts a new one with every block of a large insert; a decompressor stops at the end of
    its own and says nothing about what follows, so not to go on would lose rows without an error.
    """

    __slots__ = ("_current", "_encoding")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._current: Decompressor | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` adds to the body; raises CANNOT_DECOMPRESS when it is not of this encoding."""
        output = bytearray()
        try:
            while chunk:
                if self._current is None:
                    self._current = DECOMPRESSORS[self._encoding]()
                output += self._current.decompress(chunk)
                chunk = b""
                if self._current.eof:
                    chunk = self._current.unused_data or b""
                    self._current = None
        except BROKEN as error:
            raise refusal(
                Code.CANNOT_DECOMPRESS, f"The body is not valid {self._encoding}: {error}"
            ) from error
        return bytes(output)

    def finish(self) -> None:
        """Raises CANNOT_DECOMPRESS when the body ended inside a frame."""
        if self._current is not None:
            raise refusal(Code.CANNOT_DECOMPRESS, f"The body ends in the middle of its {self._encoding}")


def read_form(content_type: str, body: bytes) -> Form:
    """The fields of a multipart/form-data body; files (external tables) are refused with NOT_IMPLEMENTED."""
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields: list[tuple[str, str]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None or not isinstance(name, str):
            raise refusal(
                Code.NOT_IMPLEMENTED, "External tables in a form are not implemented by the sandbox server"
            )
        content = part.get_payload(decode=True)
        fields.append((name, content.decode() if isinstance(content, bytes) else ""))
    return Form(tuple(fields))
