"""What a reader sees as one character: a letter with its accents, an emoji with its modifiers, a flag.

Follows the extended grapheme clusters of Unicode (UAX #29) with the properties that the standard library
knows. It has no Extended_Pictographic and no Indic conjuncts: after a zero-width joiner every symbol is taken
for an emoji, and a conjunct is kept in two parts. CR LF are two: they are two characters of an SMS, too.
"""

import unicodedata
from collections.abc import Iterator

_ZWJ = "\u200d"
# Extending by UAX #29 though not marks by their category: ZWNJ, ZWJ, halfwidth sound marks, Thai and Lao AM.
_EXTENDING = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")
_MARKS = frozenset({"Mn", "Me", "Mc"})


def graphemes(text: str) -> Iterator[str]:
    """The text in parts that should not be torn apart; together they are the text again."""
    start, flags = 0, 0
    for place in range(1, len(text)):
        before, char = text[place - 1], text[place]
        flags = flags + 1 if _is_flag_letter(before) else 0
        if not _belongs_to(before, char, flags):
            yield text[start:place]
            start = place
    if text:
        yield text[start:]


def _belongs_to(before: str, char: str, flag_letters_before: int) -> bool:
    if before < "\u0300" and char < "\u0300":
        return False  # most texts: nothing below the first combining mark extends anything
    if _extends(char):
        return unicodedata.category(before) not in ("Cc", "Zl", "Zp")
    if before == _ZWJ:
        return unicodedata.category(char)[0] == "S"
    if _is_flag_letter(char):
        return flag_letters_before % 2 == 1
    return _same_syllable(before, char)


def _extends(char: str) -> bool:
    return (
        unicodedata.category(char) in _MARKS
        or char in _EXTENDING
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags, as in the flags of England, Scotland and Wales
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _same_syllable(before: str, char: str) -> bool:
    """Hangul written in its parts: leading consonants, vowels, trailing consonants."""
    match _hangul(before):
        case "L":
            return _hangul(char) in ("L", "V", "LV", "LVT")
        case "V" | "LV":
            return _hangul(char) in ("V", "T")
        case "T" | "LVT":
            return _hangul(char) == "T"
        case _:
            return False


def _hangul(char: str) -> str:
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    if "\uac00" <= char <= "\ud7a3":
        return "LV" if (ord(char) - 0xAC00) % 28 == 0 else "LVT"
    return ""
