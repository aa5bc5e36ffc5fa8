"""Carries plans out in time: moves messages on, reaches handsets, posts callbacks.

Guarantees: a message's statuses are taken in the order of its plan, and the callbacks of one message
begin in theirs, each after the end of the one before it, which it waits for at most a second unless
the order was reversed on purpose. `close` drops whatever is still planned.
All carrier delays are multiplied by `time_scale`; webhook time-outs and SendAt are real time.
"""

import asyncio
import uuid
from collections.abc import Callable

from sandbox.carrier.books import Books
from sandbox.carrier.callbacks import Attempt, Poster
from sandbox.carrier.exchange import Exchange
from sandbox.carrier.fate import Step
from sandbox.carrier.ledger import CallbackAttempt, Handset, Pending
from sandbox.carrier.messages import Message
from sandbox.carrier.webhooks import status_params

_PATIENCE_S = 1.0


class Runner:
    """The clockwork of one simulator. Lives in one event loop."""

    def __init__(
        self,
        account: str,
        exchange: Exchange,
        books: Books,
        poster: Poster,
        time_scale: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._account = account
        self._exchange = exchange
        self._books = books
        self._poster = poster
        self._scale = time_scale / 1000
        self._now_ms = now_ms
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._steps = 0
        self._callbacks = 0

    @property
    def pending(self) -> Pending:
        """What is still going to happen."""
        return Pending(steps=self._steps, callbacks=self._callbacks, requests=self._books.open_requests)

    async def close(self) -> None:
        """Drop every plan and give up every callback in flight."""
        for timers in self._timers.values():
            for timer in timers:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, message: Message) -> asyncio.Future[None]:
        """Set a new message's plan going; the future ends with the first callback posted.

        Without callbacks it has ended already.
        """
        loop = asyncio.get_running_loop()
        wait = 0.0 if message.due_ms is None else max(message.due_ms - self._now_ms(), 0) / 1000
        begin = loop.time() + wait
        timers: list[asyncio.TimerHandle] = []
        for step in message.steps:
            timers.append(loop.call_at(begin + step.at_ms * self._scale, self._advance, message, step))
        if message.reached_ms is not None:
            timers.append(loop.call_at(begin + message.reached_ms * self._scale, self._reach, message))
        message.steps_pending = len(timers)
        message.callbacks_pending = len(message.callbacks)
        self._steps += message.steps_pending
        self._callbacks += message.callbacks_pending
        first = loop.create_future()
        if not message.callbacks:
            first.set_result(None)
        ended = first
        begun = None
        for step in message.callbacks:
            due = begin + step.at_ms * self._scale
            timers.append(loop.call_at(due, self._begin_callback, message, step, begun, ended))
            begun, ended = ended, loop.create_future()
        self._timers[message.sid] = timers
        return first

    def cancel(self, message: Message, step: Step) -> None:
        """Replace the plan of a message that was canceled in time by the one step left."""
        for timer in self._timers.pop(message.sid, []):
            timer.cancel()
        self._steps -= message.steps_pending
        self._callbacks -= message.callbacks_pending
        message.steps_pending = 0
        message.callbacks_pending = len(message.callbacks)
        self._callbacks += message.callbacks_pending
        if message.callbacks:
            ended = asyncio.get_running_loop().create_future()
            self._begin_callback(message, step, None, ended)
        self._settle(message)

    def _advance(self, message: Message, step: Step) -> None:
        self._exchange.advance(message, step, self._now_ms())
        self._step_done(message)

    def _reach(self, message: Message) -> None:
        message.reached = True
        self._books.reached(Handset(sid=message.sid, to=message.to, at_ms=self._now_ms()))
        self._step_done(message)

    def _step_done(self, message: Message) -> None:
        message.steps_pending -= 1
        self._steps -= 1
        self._settle(message)

    def _settle(self, message: Message) -> None:
        if message.done:
            self._timers.pop(message.sid, None)
            self._books.settled(message)

    def _begin_callback(
        self,
        message: Message,
        step: Step,
        before: asyncio.Future[None] | None,
        ended: asyncio.Future[None],
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._callback(message, step, before, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _callback(
        self,
        message: Message,
        step: Step,
        before: asyncio.Future[None] | None,
        ended: asyncio.Future[None],
    ) -> None:
        try:
            if before is not None and not before.done():
                await asyncio.wait({before}, timeout=None if message.in_turn else _PATIENCE_S)
            url = message.status_callback
            if url is None:
                raise RuntimeError(f"a callback of {message.sid} was planned without a StatusCallback")
            token = str(uuid.uuid4())

            def heard(attempt: Attempt) -> None:
                self._books.posted(
                    CallbackAttempt(
                        sid=message.sid,
                        status=step.status.value,
                        token=token,
                        attempt=attempt.number,
                        at_ms=attempt.at_ms,
                        url=url,
                        http_status=attempt.status,
                        failure=attempt.failure,
                    )
                )

            params = status_params(self._account, message, step, self._now_ms())
            await self._poster.post(url, params, token, heard)
        finally:
            message.callbacks_pending -= 1
            self._callbacks -= 1
            self._settle(message)
            if not ended.done():
                ended.set_result(None)
