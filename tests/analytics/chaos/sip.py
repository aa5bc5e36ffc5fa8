"""SipHash-2-4 as its paper has it (Aumasson and Bernstein, 2012); with no key, ClickHouse's sipHash64."""

from __future__ import annotations

from functools import lru_cache

_64_BITS = 2**64 - 1
_NO_KEY = bytes(16)


@lru_cache(100_000)
def sip_hash(data: bytes, key: bytes = _NO_KEY) -> int:
    """The hash as an unsigned number."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )
    whole = len(data) // 8 * 8
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    for word in words:
        a, b, c, d = _round(_round((state[0], state[1], state[2], state[3] ^ word)))
        state = a ^ word, b, c, d
    state = state[0], state[1], state[2] ^ 0xFF, state[3]
    for _ in range(4):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(state: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    a = a + b & _64_BITS
    b = _turned(b, 13) ^ a
    a = _turned(a, 32)
    c = c + d & _64_BITS
    d = _turned(d, 16) ^ c
    a = a + d & _64_BITS
    d = _turned(d, 21) ^ a
    c = c + b & _64_BITS
    b = _turned(b, 17) ^ c
    c = _turned(c, 32)
    return a, b, c, d


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _64_BITS
