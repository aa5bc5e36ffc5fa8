"""Whether this process gets on with its work: what `/healthz` and the metrics say of its turns.

Guarantees: waiting that is meant is no trouble: a sender's rate, its day's cap, a pause, a full queue.
Trouble is a loop that does not turn, records that are there and not read, and a turn that is not committed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from streams.probe import LOOK_EVERY_S, Liveness
from streams.progress import Progress


class Place(NamedTuple):
    """A partition that is being read."""

    topic: str
    partition: int


class Watching:
    """For one event loop. `reading` tells how far each partition is that is not kept from reading."""

    def __init__(self, reading: Callable[[], Mapping[Place, Progress]]) -> None:
        self._reading = reading
        self._open_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self.liveness = Liveness(time.monotonic())
        self.turns = 0

    def start(self) -> None:
        """Look once a second from now on."""
        self._task = asyncio.get_running_loop().create_task(self._look())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def has_news(self) -> None:
        """There is something to commit."""
        if self._open_since is None:
            self._open_since = time.monotonic()

    def committed(self) -> None:
        self._open_since = None
        self.turns += 1

    def commit_age_s(self) -> float:
        """How long something has been waiting to be committed."""
        return 0.0 if self._open_since is None else time.monotonic() - self._open_since

    def trouble(self) -> str | None:
        return self.liveness.trouble(time.monotonic())

    async def _look(self) -> None:
        while True:
            self.liveness.look(time.monotonic(), self._reading(), self._open_since)
            await asyncio.sleep(LOOK_EVERY_S)
