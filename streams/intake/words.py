"""Words of a closed vocabulary, as producers write them."""

from collections.abc import Iterable
from typing import TypeVar

from schemas.vocabulary import SENDABLE_CHANNELS, Category, Channel, Priority
from streams.intake.refusals import Refusal

W = TypeVar("W", Channel, Category, Priority)


def category(word: str) -> Category:
    return _word(Category, "category", word)


def priority(word: str) -> Priority:
    return _word(Priority, "priority", word)


def channel(word: str) -> Channel:
    """One that can be sent by."""
    return _word(SENDABLE_CHANNELS, "channel", word)


def _word(vocabulary: Iterable[W], field: str, word: str) -> W:
    for known in vocabulary:
        if known == word:
            return known
    raise Refusal(
        f"unknown-{field}", f"{field} {word[:40]!r} is not known; use one of {', '.join(vocabulary)}"
    )
