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
    """What the decompressors of the standard library have in common."""

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
    decompressor = DECOMPRESSORS[encoding]() if encoding in DECOMPRESSORS else None
    body = bytearray()
    async for chunk in chunks:
        try:
            body += decompressor.decompress(chunk) if decompressor is not None and chunk else chunk
        except BROKEN as error:
            raise refusal(Code.CANNOT_DECOMPRESS, f"The body is not valid {encoding}: {error}") from error
        if len(body) > limit:
            raise refusal(
                Code.QUERY_IS_TOO_LARGE,
                f"The body is larger than {limit} bytes: insert in smaller batches, or raise --max-body-mb",
            )
    if decompressor is not None and not getattr(decompressor, "eof", True):
        raise refusal(Code.CANNOT_DECOMPRESS, f"The body ends in the middle of its {encoding}")
    return bytes(body)


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
