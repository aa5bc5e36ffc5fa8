"""Bodies arrive whole, however they were compressed and cut, or are refused."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import AsyncIterator, Callable

import anyio
import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clickhouse_body import read_body, read_form
from sandbox.clickhouse_errors import ClickHouseError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


def read(body: bytes, encoding: str, *, chunk: int = 64, limit: int = 10_000) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]
        yield b""  # as ASGI servers end a body

    async def run() -> bytes:
        return await read_body(chunks(), encoding, limit=limit)

    return anyio.run(run)


def refused(body: bytes, encoding: str, *, limit: int = 10_000) -> int:
    with pytest.raises(ClickHouseError) as raised:
        read(body, encoding, limit=limit)
    return raised.value.code


@pytest.mark.parametrize("encoding", COMPRESSORS)
@given(parts=st.lists(st.binary(max_size=100), max_size=5), chunk=st.integers(1, 200))
def test_every_frame_of_a_body_is_read(encoding: str, parts: list[bytes], chunk: int) -> None:
    body = b"".join(COMPRESSORS[encoding](part) for part in parts)
    assert read(body, encoding, chunk=chunk) == b"".join(parts)


@given(st.binary(max_size=500))
def test_a_plain_body_is_left_alone(body: bytes) -> None:
    assert read(body, "") == read(body, "identity") == body


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_body_cut_short_is_refused(encoding: str) -> None:
    whole = COMPRESSORS[encoding](bytes(range(256)))
    assert refused(whole[:-5], encoding) == 271
    assert refused(whole + whole[: len(whole) // 2], encoding) == 271


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_body_of_another_kind_is_refused(encoding: str) -> None:
    assert refused(b"INSERT INTO t VALUES (1), (2), (3)", encoding) == 271


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_the_limit_counts_what_comes_out(encoding: str) -> None:
    body = COMPRESSORS[encoding](bytes(10_001))
    assert len(body) < 10_000
    assert refused(body, encoding) == 229
    assert len(read(body, encoding, limit=10_001)) == 10_001


def test_an_unknown_encoding_is_refused() -> None:
    assert refused(b"x", "rot13") == 89


def form(*parts: str) -> tuple[str, bytes]:
    body = "".join(f"--b\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + "--b--\r\n"
    return "multipart/form-data; boundary=b", body.encode()


def test_the_fields_of_a_form_are_read() -> None:
    fields = read_form(*form('name="query"\r\n\r\nSELECT 1\nFORMAT CSV', 'name="param_x"\r\n\r\n☃')).fields
    assert fields == (("query", "SELECT 1\nFORMAT CSV"), ("param_x", "☃"))


def test_an_external_table_is_refused_by_name() -> None:
    with pytest.raises(ClickHouseError, match="External tables") as raised:
        read_form(*form('name="t"; filename="t.csv"\r\n\r\n1'))
    assert raised.value.code == 48
