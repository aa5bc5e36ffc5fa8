"""How many SMS segments a text takes: what a sender's rate, and the bill, are counted in.

140 octets a segment: GSM-7 160 septets, or 153 when concatenated; UCS-2 70 or 67 UTF-16 units. One character
outside GSM-7 turns the whole text to UCS-2; an extension character takes two septets; neither such a pair nor
a surrogate pair is split (3GPP TS 23.038; facts, Twilio section 7).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Segments(NamedTuple):
    encoding: Encoding
    number: int


def segments(text: str) -> Segments:
    """Encoding and number of segments of a text; an empty text takes one."""
    if all(char in _BASIC or char in _EXTENSION for char in text):
        return Segments(Encoding.GSM7, _pack((2 if c in _EXTENSION else 1 for c in text), 160, 153))
    return Segments(Encoding.UCS2, _pack((2 if ord(c) > 0xFFFF else 1 for c in text), 70, 67))


def _pack(widths: Iterable[int], alone: int, chained: int) -> int:
    sizes = list(widths)
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > chained:
            count, used = count + 1, 0
        used += size
    return count
