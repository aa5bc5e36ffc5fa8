"""What a person wrote, in the form it is compared in.

Guarantees: pure; two texts that differ only in case, width, Latin, Greek or Cyrillic accents, invisible
characters, or the spaces and punctuation around their words fold to the same. What has no word in it (an
emoji, a photograph) folds to the empty text. Marks that make a letter another one (Devanagari, Hebrew) stay.
Leaves to others: which words mean what.
"""

import re
import unicodedata
from collections.abc import Callable

LONGEST = 240
"""Characters that are looked at: a keyword and its argument are far shorter, an echo is known by as many."""

# Between a keyword and its argument: a space, or what people write instead of one, as in ACK:17 or ACK-17.
_SEPARATED = re.compile(r"[\s:;,.#=/\-\u2010-\u2015]")
# Of the million characters there are, this many are remembered with what becomes of them.
_MOST_REMEMBERED = 20_000


class _Each(dict[int, str | None]):
    """For `str.translate`: what becomes of a character, found once. None takes it away."""

    __slots__ = ("_becomes",)

    def __init__(self, becomes: Callable[[str], str | None]) -> None:
        super().__init__()
        self._becomes = becomes

    def __missing__(self, code: int) -> str | None:
        found = self._becomes(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = found
        return found


def _in_words(character: str) -> str:
    """Itself in a word, a space between words; one for one."""
    return character if character.isalnum() or unicodedata.category(character)[0] == "M" else " "


def _folded(character: str) -> str | None:
    unseen = "\u0300" <= character <= "\u036f" or unicodedata.category(character) == "Cf"
    # Variation selectors only choose how an emoji looks.
    return None if unseen or "\ufe00" <= character <= "\ufe0f" else _in_words(character)


def _seen(character: str) -> str | None:
    if character.isspace():
        return " "
    return None if unicodedata.category(character)[0] == "C" else character


_IN_WORDS, _FOLDED, _SEEN = _Each(_in_words), _Each(_folded), _Each(_seen)


def fold(text: str) -> str:
    """The words of a text, in small letters without accents, one space between them."""
    text = text[:LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    return " ".join(text.translate(_FOLDED).casefold().split())


def first_word(text: str) -> tuple[str, str] | None:
    """The first word, folded, and what follows it, as written but for width, spaces and what cannot be seen.

    None when there is no word, or when it goes on in a way that makes it another one, as in `ack's`.
    """
    text = text[:LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.translate(_SEEN)
    spaced = text.translate(_IN_WORDS)
    start = len(spaced) - len(spaced.lstrip())
    end = spaced.find(" ", start)
    if end < 0:
        end = len(spaced)
    rest = text[end:]
    if start == end or (_SEPARATED.match(rest) is None and spaced[end:].strip()):
        return None
    return fold(text[start:end]), " ".join(rest.split())


def bare(text: str) -> str:
    """A word or text without what is around it and no word; the plus of a phone number stays."""
    spaced = text.translate(_IN_WORDS)
    start, end = len(spaced) - len(spaced.lstrip()), len(spaced.rstrip())
    if start and start < end and text[start - 1] == "+":
        start -= 1
    return text[start:end]
