"""Wait on a condition instead of sleeping, and say what was waited for when it never came.

Guarantees: the condition is tried at least once and once more after the deadline, so a slow machine does
not turn a condition that holds into a failure. Leaves to the caller: a condition quick enough to poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1


def wait_until(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Poll `condition` until its value is truthy, and return that value.

    The pause between two tries grows from 2 ms to 100 ms. An exception of the condition is not caught: turn
    an expected one into a falsy value. Raises AssertionError after `timeout_s` seconds, with `what` and the
    last value seen.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        out_of_time = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if out_of_time:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; the last value was {value!r}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
