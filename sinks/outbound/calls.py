"""The calls under way: begun after their commands' entries are committed; the answers go into the books."""

import asyncio
import time
from collections.abc import Callable

import structlog

from ingress.callback_url import status_callback_url
from schemas.records import JournalEntry, OutboundCommand
from schemas.vocabulary import ErrorClass
from sinks.outbound.books import Books
from sinks.outbound.brakes import Brakes
from sinks.outbound.cancels import Cancels
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import Accepted, Ambiguous, Concern, Providers, Rejected, SendAnswer, Verdict

log = structlog.get_logger(__name__)


class Calls:
    """For one event loop. `brakes` and `cancels` are told of every answer, and then `over` that the command's
    call has ended."""

    def __init__(
        self,
        providers: Providers,
        public_base_url: str,
        books: Books,
        brakes: Brakes,
        cancels: Cancels,
        over: Callable[[str], None],
    ) -> None:
        self._providers = providers
        self._public_base_url = public_base_url
        self._books = books
        self._brakes = brakes
        self._cancels = cancels
        self._over = over
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
        began = time.monotonic()
        try:
            answer = await self._answer(command, begin_before)
        except Exception as unforeseen:  # a call that ends in no known way may have been carried out
            # The exception's text is left out, as it may hold what a person was written.
            error = type(unforeseen).__name__
            log.error("a call ended unforeseen", command_id=command.command_id, error=error)
            answer = Ambiguous(f"unforeseen {error}")
        finally:
            self._tasks.pop(command.command_id, None)
        latency_ms = int((time.monotonic() - began) * 1000)
        self._books.answered(waiting.partition, entry, answer, latency_ms)
        self._brakes.answered(waiting, answer)
        self._cancels.answered(command.command_id, answer)
        self._over(command.command_id)
        _log(command, answer, latency_ms)

    async def _answer(self, command: OutboundCommand, begin_before: float) -> SendAnswer:
        provider = self._providers.get(command.provider)
        if provider is None:
            return Rejected(
                None,
                Verdict(ErrorClass.CONFIGURATION, Concern.ACCOUNT),
                f"no provider {command.provider!r} here, but {', '.join(self._providers)}: mend the route",
            )
        url = status_callback_url(self._public_base_url, command.notification_id, command.attempt)
        return await provider.send(command, url, begin_before)


def _log(command: OutboundCommand, answer: SendAnswer, latency_ms: int) -> None:
    """The request id is what the provider's support asks for."""
    request_id = getattr(answer, "request_id", None)
    if isinstance(answer, Accepted):
        log.debug(
            "accepted",
            command_id=command.command_id,
            sid=answer.sid,
            request_id=request_id,
            latency_ms=latency_ms,
        )
    else:
        log.info(
            "not accepted",
            command_id=command.command_id,
            answer=type(answer).__name__,
            detail=answer.detail,
            request_id=request_id,
            latency_ms=latency_ms,
        )
