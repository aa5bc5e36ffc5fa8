"""Percentages with their Wilson score interval, reckoned anew (E. B. Wilson, 1927). Pure."""

import math
from statistics import NormalDist

from sandbox.demo.reckoning.sheet import Between, Cell

_Z = NormalDist().inv_cdf(0.975)
# Reports round to a tenth.
_ROUNDING = 0.0501


def percent(part: int, whole: int) -> Cell:
    return _about(part / whole) if whole else None


def shares(part: int, whole: int, name: str) -> dict[str, Cell]:
    """The columns `<name>`, `low_percent` and `high_percent`."""
    if not whole:
        return {name: None, "low_percent": None, "high_percent": None}
    # The shares p at which the observed one is exactly z standard errors away: p² (n + z²) − p (2k + z²)
    # + k²/n = 0.
    a, b, c = whole + _Z**2, 2 * part + _Z**2, part**2 / whole
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return {
        name: _about(part / whole),
        "low_percent": _about((b - root) / (2 * a)),
        "high_percent": _about((b + root) / (2 * a)),
    }


def _about(share: float) -> Between:
    return Between(100 * share - _ROUNDING, 100 * share + _ROUNDING)
