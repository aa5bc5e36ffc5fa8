"""Twilio under load: status callbacks at a steady rate, whatever the ingress does.

Guarantees: a key's next status is posted only after the last one was answered 2xx; what was not is posted
again, a few times, as Twilio does with the connection overrides of our callback URL. New keys begin at fixed
times (open loop): an ingress that is slow meets all that it held up. Bounded, and ends with the `with` block.
Leaves to others: to compare with Kafka (`tests.ingress.ledger`).
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

import uvloop

from ingress.callback_url import status_callback_url
from schemas.identity import notification_id
from tests.ingress.twilio_side import BASE, FORM, new_sid, sign, status_form

# Of the requests in a second: some by keys that go on for the whole time, the rest by keys of a few statuses.
LASTING_KEYS = 20
LASTING_PERIOD_S = 0.2
STATUSES = 4
STATUS_GAP_S = 0.3
# As the connection overrides say: 6 s for one answer.
ANSWER_TIMEOUT_S = 6.0
TRIES = 6
RETRY_S = (0.2, 0.8)


@dataclass(frozen=True, slots=True)
class Posted:
    """One request. `status` is 0 when the connection ended or nothing was answered in time."""

    at: float
    seconds: float
    status: int


class Callers:
    """`rate` is in requests a second; `port` may be closed for a while. For one `with` block."""

    def __init__(self, port: int, *, rate: int, seed: int) -> None:
        self._port = port
        self._new_keys_a_second = max(0.0, rate - LASTING_KEYS / LASTING_PERIOD_S) / STATUSES
        self._random = random.Random(seed)
        self._run = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._in_thread, name="callers")
        self._ending = threading.Event()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._failure: BaseException | None = None
        self.acknowledged: Counter[str] = Counter()  # steps by key; with 0 the keys that never were
        self.answers: Counter[int] = Counter()
        self.unpromised = 0  # 503 without Retry-After
        self.posted: list[Posted] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def kept(self) -> int:
        """Answers with 2xx so far."""
        return self.answers[204]

    def between(self, begin: float, end: float) -> list[Posted]:
        """What was posted in this time of `time.monotonic`; also what was not answered until now is not."""
        return [one for one in list(self.posted) if begin <= one.at < end]

    def _in_thread(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._all())
        except BaseException as failure:
            self._failure = failure

    async def _all(self) -> None:
        try:
            async with asyncio.TaskGroup() as callers:
                began = time.monotonic()
                for number in range(LASTING_KEYS):
                    offset = number * LASTING_PERIOD_S / LASTING_KEYS
                    callers.create_task(self._caller(began + offset, LASTING_PERIOD_S, None))
                due = began
                while not self._ending.is_set():
                    if due <= time.monotonic():
                        callers.create_task(self._caller(due, STATUS_GAP_S, STATUSES))
                        due += 1 / self._new_keys_a_second
                    else:
                        await asyncio.sleep(due - time.monotonic())
        finally:
            for _, writer in self._idle:
                writer.close()

    async def _caller(self, due: float, period_s: float, statuses: int | None) -> None:
        """One key, until all its statuses are acknowledged or one was not after all tries."""
        key, sid, step = notification_id(self._run, str(len(self.acknowledged))), new_sid(), 0
        self.acknowledged[key] = 0
        while (statuses is None or step < statuses) and not self._ending.is_set():
            await asyncio.sleep(due + step * period_s - time.monotonic())
            request = _request(key, sid, step)
            if not await self._acknowledged(request):
                if statuses is None and not self._ending.is_set():
                    continue  # these go on through every outage
                return
            step += 1
            self.acknowledged[key] = step

    async def _acknowledged(self, request: bytes) -> bool:
        for _ in range(TRIES):
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    status = await self._post(request)
            except (OSError, asyncio.IncompleteReadError):  # a TimeoutError is an OSError
                status = 0
            self.answers[status] += 1
            self.posted.append(Posted(began, time.monotonic() - began, status))
            if status == 204:
                return True
            if self._ending.is_set():
                return False
            await asyncio.sleep(self._random.uniform(*RETRY_S))
        return False

    async def _post(self, request: bytes) -> int:
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        )
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, length = head.partition(b"content-length: ")
            if found:
                await reader.readexactly(int(length.split(b"\r", 1)[0]))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        status = int(head[9:12])
        if status == 503 and b"retry-after: " not in head:
            self.unpromised += 1
        return status


def _request(key: str, sid: str, step: int) -> bytes:
    url = urlsplit(status_callback_url(BASE, key, 1))
    target = f"{url.path}?{url.query}"
    form = status_form(sid, f"step-{step}")
    body = urlencode(form).encode()
    return (
        f"POST {target} HTTP/1.1\r\nhost: hooks.example.com\r\ncontent-type: {FORM}\r\n"
        f"x-twilio-signature: {sign(target, form)}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def step_of(status: str) -> int:
    """Which step a record with this status is of."""
    return int(status.removeprefix("step-"))
