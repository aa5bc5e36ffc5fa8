"""How well a sender's rate was kept, from when its texts arrived. Pure; seconds and segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WINDOW_S = 10.0


class Text(NamedTuple):
    at: float
    segments: int


def worst_window_error(texts: Sequence[Text], rate: float, first_s: float = WINDOW_S) -> float | None:
    """By how much of the rate any window of 10 s was off, at most; None when there was none.

    A window reaches from one arrival to the first that is 10 s later: what came in between, the last
    included, over the time it took. So a whole number of texts is no error. The first `first_s` do not
    count: there the bucket is emptied. `texts` in their order.
    """
    worst: float | None = None
    last, came = 0, 0
    for first, begin in enumerate(texts):
        while last < len(texts) and texts[last].at < begin.at + WINDOW_S:
            last += 1
            if last < len(texts):
                came += texts[last].segments
        if last == len(texts):
            break
        if begin.at >= texts[0].at + first_s:
            error = abs(came / (texts[last].at - begin.at) - rate) / rate
            worst = error if worst is None else max(worst, error)
        came -= texts[first + 1].segments
    return worst


def above_bucket(texts: Sequence[Text], rate: float, burst: float) -> float:
    """Segments that any stretch of time held beyond burst + rate x time; 0 or less is within."""
    # The worst stretch that ends here: its total less rate x its length, carried from text to text.
    worst = level = float("-inf")
    before = 0.0
    for text in texts:
        level = max(level - rate * (text.at - before), 0.0) + text.segments if level > 0 else text.segments
        before = text.at
        worst = max(worst, level - burst)
    return worst
