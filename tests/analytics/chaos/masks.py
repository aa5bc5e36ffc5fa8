"""What of a text may land: said once more, without regular expressions, so that a mistake in one is seen.

A run is a digit and more digits, at most three spaces, brackets, dots, slashes or dashes between two of them,
and the plus before it; one of six digits or more may be a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_BETWEEN = "().-/"
_A_NUMBER = 6


def without_numbers(text: str) -> str:
    """Every run that may be a number becomes #."""
    return _replaced(text, lambda digits: True)


def without_number_of(text: str, number: str) -> str:
    """Runs that share six digits in a row with the number become #; all others stay."""
    own = _digits(number)
    sixes = {own[start : start + _A_NUMBER] for start in range(len(own) - _A_NUMBER + 1)}

    def shares(digits: str) -> bool:
        return any(six in digits for six in sixes)

    return _replaced(text, shares)


def _replaced(text: str, hide: Callable[[str], bool]) -> str:
    if not any(map(str.isdecimal, text)):
        return text
    found, at = "", 0
    for start, end in _runs(text):
        found += text[at:start] + ("#" if hide(_digits(text[start:end])) else text[start:end])
        at = end
    return found + text[at:]


def _runs(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(text):
        first = at + 1 if text[at] == "+" else at
        end = _end_of_run(text, first)
        if len(_digits(text[first:end])) >= _A_NUMBER:
            yield at, end
            at = end
        else:
            # Too short from here, and so from everywhere within it.
            at = max(end, at + 1)


def _end_of_run(text: str, first: int) -> int:
    """Behind the last digit of the run that begins here; `first` itself when none does."""
    if first >= len(text) or not text[first].isdecimal():
        return first
    end = first + 1
    while True:
        following = end
        while following < len(text) and following - end < 3 and _is_between(text[following]):
            following += 1
        if following >= len(text) or not text[following].isdecimal():
            return end
        end = following + 1


def _is_between(character: str) -> bool:
    return character.isspace() or character in _BETWEEN


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
