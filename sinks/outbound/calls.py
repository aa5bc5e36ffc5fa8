"""The calls under way: begun after their commands' entries are committed; the answers go into the books."""

import asyncio
import time
from collections.abc import Callable

import structlog

from ingress.callback_url import status_callback_url
from schemas.records import JournalEntry
from sinks.outbound.books import Books
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import Ambiguous, NotSent, Provider

log = structlog.get_logger(__name__)

_THROTTLE_PAUSE_S = 1.0
Pause = Callable[[str, float], None]


class Calls:
    """For one event loop. `pause(sender, until)` is told when a sender must wait (time.monotonic())."""

    def __init__(self, provider: Provider, public_base_url: str, books: Books, pause: Pause) -> None:
        self._provider = provider
        self._public_base_url = public_base_url
        self._books = books
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._tasks

    def under_way(self) -> frozenset[str]:
        return frozenset(self._tasks)

    def begin(self, waiting: Waiting, entry: JournalEntry, begin_before: float) -> None:
        """Call, unless `begin_before` has passed by then. The entry must be committed."""
        call = self._call(waiting, entry, begin_before)
        self._tasks[entry.command_id] = asyncio.get_running_loop().create_task(call)

    async def finish(self) -> None:
        """Wait for all answers; every call has its time-outs."""
        await asyncio.gather(*self._tasks.values())

    def cancel(self) -> None:
        """Their commands stay open in the journal: the next owner finds them in doubt."""
        for task in self._tasks.values():
            task.cancel()

    async def _call(self, waiting: Waiting, entry: JournalEntry, begin_before: float) -> None:
        command = waiting.command
        url = status_callback_url(self._public_base_url, command.notification_id, command.attempt)
        began = time.monotonic()
        try:
            answer = await self._provider.send(command, url, begin_before)
        except Exception as unforeseen:  # a call that ends in no known way may have been carried out
            # The exception's text is left out, as it may hold what a person was written.
            error = type(unforeseen).__name__
            log.error("a call ended unforeseen", command_id=command.command_id, error=error)
            answer = Ambiguous(f"unforeseen {error}")
        finally:
            self._tasks.pop(command.command_id, None)
        latency_ms = int((time.monotonic() - began) * 1000)
        if isinstance(answer, NotSent):
            pause_s = answer.retry_after_s or _THROTTLE_PAUSE_S
            self._pause(command.sender, time.monotonic() + pause_s)
        self._books.answered(waiting.partition, entry, answer, latency_ms)
