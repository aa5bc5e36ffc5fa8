"""How far a partition of commands may be committed when they do not end in the order they came."""

from collections import deque


class Offsets:
    """The first offset that is not done yet, for one partition. Offsets come in growing order.

    `start` is what is committed already, and stays the position until something is read.
    """

    def __init__(self, start: int | None = None) -> None:
        self._waiting: deque[int] = deque()
        self._done: set[int] = set()
        self._next = start

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, offset: int) -> None:
        self._waiting.append(offset)
        self._next = offset + 1

    def done(self, offset: int) -> None:
        self._done.add(offset)

    def read_up_to(self) -> int | None:
        """The next offset to be read. None when nothing is known."""
        return self._next

    def position(self) -> int | None:
        """The offset to commit: everything below it is done. None when nothing is known."""
        while self._waiting and self._waiting[0] in self._done:
            self._done.discard(self._waiting.popleft())
        return self._waiting[0] if self._waiting else self._next
