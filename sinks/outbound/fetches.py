"""Asking the provider for messages that went quiet, a few at a time; the answers go into the books."""

import asyncio
from collections.abc import Callable

import structlog

from sinks.outbound.books import Books
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import LookupFailed, Provider

log = structlog.get_logger(__name__)

PARALLEL = 4
"""Fetches at the same time; each takes one of the provider's connections."""


class Fetches:
    """For one event loop. `done` is called when a fetch command need not be read again."""

    def __init__(self, provider: Provider, books: Books, done: Callable[[Waiting], None]) -> None:
        self._provider = provider
        self._books = books
        self._done = done
        self._slots = asyncio.Semaphore(PARALLEL)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, waiting: Waiting) -> None:
        task = asyncio.get_running_loop().create_task(self._fetch(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """The commands are read again by the partition's next owner."""
        for task in self._tasks:
            task.cancel()

    async def _fetch(self, waiting: Waiting) -> None:
        """A failure is not repeated here, delivery asks again by itself."""
        async with self._slots:
            try:
                status = await self._provider.fetch(waiting.command)
            except LookupFailed as failed:
                log.warning("a message could not be fetched", reason=str(failed))
            except Exception as unforeseen:  # nothing behind it may wait for ever
                error = type(unforeseen).__name__
                log.error("a fetch ended unforeseen", command_id=waiting.command.command_id, error=error)
            else:
                if status is not None:
                    self._books.status(status)
        self._done(waiting)
