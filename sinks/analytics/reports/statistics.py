"""What can be said from counts: how sure a share is, and where a quantile lies. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sinks.analytics.facts import milliseconds_of

# Of the normal distribution, for 95 %.
_Z = 1.959964


class Share(NamedTuple):
    """A share in percent with its Wilson score interval of 95 % (E. B. Wilson, 1927).

    Unlike the normal one it holds for small counts and for shares near 0 or 100: 3 of 3 is 44 to 100, not
    100. None without anything to take a share of.
    """

    percent: float | None
    low: float | None
    high: float | None


def share(part: int, whole: int) -> Share:
    """Rounded to a tenth. Raises ValueError when the part is more than the whole, or negative."""
    if not 0 <= part <= whole:
        raise ValueError(f"{part} is no part of {whole}: look at the rows that were counted")
    if whole == 0:
        return Share(None, None, None)
    shrunk = 1 + _Z**2 / whole
    middle = (part / whole + _Z**2 / (2 * whole)) / shrunk
    spread = _Z * math.sqrt(part * (whole - part) / whole**3 + _Z**2 / (4 * whole**2)) / shrunk
    low, high = max(0.0, middle - spread), min(1.0, middle + spread)
    return Share(*(round(100 * value, 1) for value in (part / whole, low, high)))


def quantile(histogram: Sequence[tuple[int, int]], level: float) -> float | None:
    """Seconds: the element at floor(level × n) of the sorted latencies, to within 2.5 %.

    `histogram` has (bucket, count), sorted by bucket (`facts`). None without any.
    """
    total = sum(count for _, count in histogram)
    wanted = min(int(level * total), total - 1)
    seen = 0
    for bucket, count in histogram:
        seen += count
        if seen > wanted:
            return float(f"{milliseconds_of(bucket) / 1000:.4g}")
    return None
