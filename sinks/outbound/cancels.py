"""Cancelling at the provider what it accepted and keeps for later; the answers go into the books.

Guarantees: only what is known to be the command's message is canceled; a cancellation whose fate is unknown
is repeated a few times, as that does no harm. What became of the message is told by its status, here and by
callback, and goes through the same fold as any other. Limit: which messages are scheduled is remembered by
this process only, for a cancellation that does not name its message itself.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from schemas.records import OutboundCommand
from sinks.outbound.books import Books
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import (
    SCHEDULED,
    Accepted,
    CancelAnswer,
    Canceled,
    Providers,
    SendAnswer,
    TooLate,
    Unknown,
)

log = structlog.get_logger(__name__)

PARALLEL = 2
"""Cancellations at the same time; each takes one of the provider's connections."""

_AGAIN_AFTER_S = (1.0, 5.0)
"""A message can be canceled until it is sent, which was to be minutes or days later."""

_REMEMBERED = 100_000


class Cancels:
    """For one event loop. `done` is called when a cancel command need not be read again."""

    def __init__(self, providers: Providers, books: Books, done: Callable[[Waiting], None]) -> None:
        self._providers = providers
        self._books = books
        self._done = done
        self._slots = asyncio.Semaphore(PARALLEL)
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled: dict[str, str] = {}
        self._wanted: dict[str, list[Waiting]] = {}

    def begin(self, waiting: Waiting, command_id: str, under_way: bool) -> None:
        """The command was begun before: cancel its message if it waits at the provider, now or when the call
        that is under way says so."""
        sid = waiting.command.sid or self._scheduled.pop(command_id, None)
        if sid is not None:
            self._start(waiting, sid)
        elif under_way:
            self._wanted.setdefault(command_id, []).append(waiting)
        else:
            self._done(waiting)

    def answered(self, command_id: str, answer: SendAnswer) -> None:
        """A call has ended: if the message waits at the provider, it may have to be canceled."""
        wanted = self._wanted.pop(command_id, [])
        if isinstance(answer, Accepted) and answer.status == SCHEDULED:
            if wanted:
                self._start(wanted.pop(), answer.sid)
            else:
                self._scheduled[command_id] = answer.sid
            if len(self._scheduled) > _REMEMBERED:
                del self._scheduled[next(iter(self._scheduled))]
        for copy in wanted:
            self._done(copy)

    def cancel(self) -> None:
        """The commands are read again by the partition's next owner."""
        for task in self._tasks:
            task.cancel()

    def _start(self, waiting: Waiting, sid: str) -> None:
        task = asyncio.get_running_loop().create_task(self._cancel(waiting, sid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self, waiting: Waiting, sid: str) -> None:
        command = msgspec.structs.replace(waiting.command, sid=sid)
        try:
            async with self._slots:
                answer = await self._answer(command)
        except Exception as unforeseen:  # nothing behind it may wait for ever
            answer = Unknown(f"unforeseen {type(unforeseen).__name__}")
        match answer:
            case Canceled(status):
                self._books.status(status)
            case TooLate(code):
                log.info("too late to cancel", command_id=command.command_id, code=code)
            case Unknown(detail):
                log.warning("not known whether it is canceled", command_id=command.command_id, detail=detail)
        self._done(waiting)

    async def _answer(self, command: OutboundCommand) -> CancelAnswer:
        provider = self._providers.get(command.provider)
        if provider is None:
            return Unknown(f"no provider {command.provider!r} here")
        answer = await provider.cancel(command)
        for pause_s in _AGAIN_AFTER_S:
            if not isinstance(answer, Unknown):
                break
            await asyncio.sleep(pause_s)
            answer = await provider.cancel(command)
        return answer
