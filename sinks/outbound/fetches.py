"""Asking the provider for messages that went quiet, a few at a time; the answers go into the books.

A code that comes to light so is told to the brakes: its callback may never have been heard.
"""

import asyncio
from collections.abc import Callable

import structlog

from sinks.outbound.books import Books
from sinks.outbound.brakes import Brakes
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import LookupFailed, Providers

log = structlog.get_logger(__name__)

PARALLEL = 4
"""Fetches at the same time; each takes one of the provider's connections."""


class Fetches:
    """For one event loop. `done` is called when a fetch command need not be read again."""

    def __init__(
        self, providers: Providers, books: Books, brakes: Brakes, done: Callable[[Waiting], None]
    ) -> None:
        self._providers = providers
        self._books = books
        self._brakes = brakes
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
            command = waiting.command
            try:
                provider = self._providers.get(command.provider)
                if provider is None:
                    raise LookupFailed(f"no provider {command.provider!r} here")
                status = await provider.fetch(command)
            except LookupFailed as failed:
                log.warning("a message could not be fetched", reason=str(failed))
            except Exception as unforeseen:  # nothing behind it may wait for ever
                error = type(unforeseen).__name__
                log.error("a fetch ended unforeseen", command_id=command.command_id, error=error)
            else:
                if status is not None:
                    self._books.status(status)
                    if status.error_code is not None:
                        verdict = provider.verdict(status.error_code, command.sender)
                        self._brakes.told_later(command, status.error_code, verdict)
        self._done(waiting)
