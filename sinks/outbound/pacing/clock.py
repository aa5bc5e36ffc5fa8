"""The one clock of pacing: milliseconds since the epoch that never go back and do not jump with the wall's.

A rate wants seconds that are as long as others, a carrier's day and an expiry want the time of day. This
clock runs as steadily as time.monotonic() and stays close to the wall's time.
"""

import time
from collections.abc import Callable

_STEP_NS = 1_000_000_000
_SLOWER = 200


class SteadyClock:
    """When the wall's clock is set forward by a second or more, so is this one: one bucket more at most.

    When it is set back, this one runs on, slower by 1/200 until the wall has caught up.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._at_ns = wall_ns()
        self._read_ns = steady_ns()

    def now(self) -> int:
        """Milliseconds since the epoch."""
        read, wall = self._steady_ns(), self._wall_ns()
        passed, self._read_ns = read - self._read_ns, read
        self._at_ns += passed
        ahead = self._at_ns - wall
        if ahead >= _STEP_NS:
            self._at_ns -= passed // _SLOWER
        elif ahead <= -_STEP_NS:
            self._at_ns = wall
        return self._at_ns // 1_000_000
