"""How many SMS segments a body takes (3GPP TS 23.038; facts, section 7).

GSM-7: 160 septets in one segment, 153 in each of several; any other character turns the whole body
into UCS-2: 70 and 67 UTF-16 units. A character of two septets or units is never split.
"""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")


def segments_of(body: str) -> int:
    """The number of segments; an empty body takes one."""
    gsm = all(character in _BASIC or character in _EXTENSION for character in body)
    if gsm:
        widths = [2 if character in _EXTENSION else 1 for character in body]
        alone, joined = 160, 153
    else:
        widths = [2 if ord(character) > 0xFFFF else 1 for character in body]
        alone, joined = 70, 67
    if sum(widths) <= alone:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > joined:
            count, used = count + 1, 0
        used += width
    return count
