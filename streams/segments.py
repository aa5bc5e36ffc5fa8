"""How many SMS segments a text takes: what a sender's rate, and the bill, are counted in.

140 octets a segment: GSM-7 160 septets, or 153 when concatenated; UCS-2 70 or 67 UTF-16 units. One character
outside GSM-7 turns the whole text to UCS-2. An extension character takes two septets. Never split between two
segments are such a pair, and in UCS-2 what a reader sees as one character, as Twilio's calculator counts
(3GPP TS 23.038; facts, Twilio section 7; TwilioDevEd/message-segment-calculator).
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from streams.graphemes import graphemes

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENSION
_UCS_CHAINED = 67


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Segments(NamedTuple):
    encoding: Encoding
    number: int


def segments(text: str) -> Segments:
    """Encoding and number of segments of a text; an empty text takes one."""
    if _GSM.issuperset(text):
        return Segments(Encoding.GSM7, _pack((2 if c in _EXTENSION else 1 for c in text), 160, 153))
    return Segments(Encoding.UCS2, _pack(_units(text), 70, _UCS_CHAINED))


def _units(text: str) -> Iterator[int]:
    """UTF-16 units of each part that is not split; one that no segment holds is split between characters."""
    for grapheme in graphemes(text):
        units = [2 if char > "\uffff" else 1 for char in grapheme]
        if sum(units) > _UCS_CHAINED:
            yield from units
        else:
            yield sum(units)


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
