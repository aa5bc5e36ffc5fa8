"""Ids remembered for a while. Pure; times in ms since the epoch.

Guarantees: an id is known for at least as long as was asked for, counted from its own time, and forgotten at
most a day later, in one step for all ids of a day: forgetting a day costs nothing for each of its ids.
"""

_BUCKET_MS = 86_400_000


class Memory:
    def __init__(self, at_least_ms: int) -> None:
        self._at_least_ms = at_least_ms
        self._buckets: dict[int, set[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def __contains__(self, name: object) -> bool:
        return any(name in bucket for bucket in self._buckets.values())

    def add(self, name: str, at: int) -> None:
        """Remember an id from its time on; one that is known already stays where it is."""
        if name not in self:
            self._buckets.setdefault(at // _BUCKET_MS, set()).add(name)

    def forget(self, now: int) -> None:
        for day in [day for day in self._buckets if (day + 1) * _BUCKET_MS <= now - self._at_least_ms]:
            del self._buckets[day]
