"""At what time to look at which sender: the earliest first, and among these who was put there first. Pure."""

from heapq import heappop, heappush

from sinks.outbound.pacing.sender import Sender


class Agenda:
    """One moment for each sender at most. The work of every call grows with the logarithm of the senders."""

    def __init__(self) -> None:
        self._moments: dict[str, tuple[int, int]] = {}
        # Also holds what was moved or taken off since: only what `_moments` says counts.
        self._heap: list[tuple[int, int, Sender]] = []
        self._number = 0

    def look(self, sender: Sender, at: int) -> None:
        """No later than then: too early costs a look, too late a rate."""
        known = self._moments.get(sender.name)
        if known is None or at < known[0]:
            self._number += 1
            self._moments[sender.name] = (at, self._number)
            heappush(self._heap, (at, self._number, sender))

    def take_off(self, sender: Sender) -> None:
        self._moments.pop(sender.name, None)

    def first_at(self) -> int | None:
        """The earliest moment."""
        while self._heap and self._moments.get(self._heap[0][2].name) != self._heap[0][:2]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def next_due(self, now: int) -> Sender | None:
        """Take the first off whose moment has come."""
        first_at = self.first_at()
        if first_at is None or first_at > now:
            return None
        sender = heappop(self._heap)[2]
        del self._moments[sender.name]
        return sender
