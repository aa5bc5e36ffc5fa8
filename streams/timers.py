"""When which notification wants to be woken.

An index over the rows' `due_at`, rebuilt from them after a restart; the rows are the truth. A deadline that
moved leaves its old entry behind: it is recognised when it comes due, and thrown away, or earlier when such
entries are more than half of all. So memory goes with the deadlines in force, not with how often they moved.
"""

import heapq
from typing import NamedTuple

_SLACK = 64  # a heap as small as this is not worth tidying


class Due(NamedTuple):
    due_at: int
    partition: int
    key: bytes


class Timers:
    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._current: dict[tuple[int, bytes], int] = {}

    def __len__(self) -> int:
        return len(self._current)

    def set(self, partition: int, key: bytes, due_at: int | None) -> None:
        """The row's deadline is now this one; None means it has none."""
        known = self._current.get((partition, key))
        if due_at == known:
            return
        if due_at is None:
            self._current.pop((partition, key), None)
        else:
            self._current[partition, key] = due_at
            heapq.heappush(self._heap, Due(due_at, partition, key))
        self._tidy()

    def drop(self, partition: int) -> None:
        """Forget a partition that belongs to another process now."""
        self._current = {place: due for place, due in self._current.items() if place[0] != partition}
        self._tidy()

    def pop_due(self, now: int) -> list[Due]:
        """The deadlines that have come, each once."""
        due: list[Due] = []
        while self._heap and self._heap[0].due_at <= now:
            entry = heapq.heappop(self._heap)
            if self._current.get((entry.partition, entry.key)) == entry.due_at:
                del self._current[entry.partition, entry.key]
                due.append(entry)
        return due

    def _tidy(self) -> None:
        """Deadlines of days ahead move several times a minute: do not keep each until it comes."""
        if len(self._heap) > 2 * len(self._current) + _SLACK:
            self._heap = [Due(due_at, *place) for place, due_at in self._current.items()]
            heapq.heapify(self._heap)
