"""Asking the provider for single messages, a few at a time; the answers go into the books.

Guarantees: never more requests a second than the budget; what cannot be asked within it is shed and counted,
and keeps nothing else from being read. Leaves to `streams.delivery`: whom to ask about, and asking again. A
code that comes to light so is told to the brakes: its callback may never have been heard.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from sinks.outbound.books import Books, FetchEnd, now_ms
from sinks.outbound.brakes import Brakes
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import LookupFailed, Providers

log = structlog.get_logger(__name__)

PARALLEL = 4
"""Fetches at the same time; each takes one of the provider's connections."""


_LONGEST_QUEUE_S = 60.0
"""More than the budget allows in this time does not wait, but is shed."""


class Budget:
    """So many requests a second, evenly. Times in seconds on any steady clock."""

    def __init__(self, per_s: float) -> None:
        self._spacing_s = 1 / per_s
        self._next = float("-inf")

    def wait_s(self, now: float) -> float:
        """Take the next turn; how long it is until then."""
        turn = max(now, self._next)
        self._next = turn + self._spacing_s
        return turn - now


class Fetches:
    """For one event loop; at most `per_s` fetches a second, as they are not what the provider is paid for.

    `done` is called when a fetch command need not be read again.
    """

    def __init__(
        self,
        providers: Providers,
        books: Books,
        brakes: Brakes,
        done: Callable[[Waiting], None],
        per_s: float,
    ) -> None:
        self._providers = providers
        self._books = books
        self._brakes = brakes
        self._done = done
        self._budget = Budget(per_s)
        self._most = max(PARALLEL, int(per_s * _LONGEST_QUEUE_S))
        self._slots = asyncio.Semaphore(PARALLEL)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, waiting: Waiting) -> None:
        if len(self._tasks) >= self._most:
            self._shed(waiting)
            return
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
            if command.not_after <= now_ms():
                self._shed(waiting)
                return
            await asyncio.sleep(self._budget.wait_s(time.monotonic()))
            end = FetchEnd.FAILED
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
                end = FetchEnd.UNKNOWN
                if status is not None:
                    end = FetchEnd.ANSWERED
                    self._books.status(status)
                    if status.error_code is not None:
                        verdict = provider.verdict(status.error_code, command.sender)
                        self._brakes.told_later(waiting, status.error_code, verdict)
            self._books.fetches[end] += 1
        self._done(waiting)

    def _shed(self, waiting: Waiting) -> None:
        self._books.fetches[FetchEnd.SHED] += 1
        self._done(waiting)
