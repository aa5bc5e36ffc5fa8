"""Sends the requests of a run over many connections at once and asks the books about each answer.

Guarantees: every number is sent once, whatever the order; ends early after enough findings; the process is
watched on the way, and asked at the end whether it still answers.
Leaves to others: what is wrong with an answer or a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psutil

from tests.fuzz.ingress.books import Books
from tests.fuzz.ingress.checks import ENOUGH, Finding
from tests.fuzz.ingress.client import Answer, Lane
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.target import Target, reveals
from tests.fuzz.ingress.topics import Follower
from tests.fuzz.ingress.wire import Request, Sending

# More than this many at once only makes each wait longer on two cores.
LANES = 48
# What was allocated for the first time by these does not count as growth.
WARM_UP = 500
WATCH_S = 0.1
_HEALTH = Request(0, "health", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

Progress = Callable[[int, float], None]
"""Told how many were sent, and after how many seconds."""


class Sender:
    """For one run. Memory is what the ingress has resident, in bytes: after the warm-up, and at its highest.

    `memory_before` stays 0 in a run that is shorter than the warm-up.
    """

    def __init__(
        self, target: Target, books: Books, follower: Follower, progress: Progress, *, stalls: bool
    ) -> None:
        """`stalls`: also the requests that wait for the server to lose patience, seconds each."""
        self._target = target
        self._books = books
        self._follower = follower
        self._progress = progress
        self._stalls = stalls
        self._began = time.monotonic()
        self.sent = 0
        self.findings: list[Finding] = []
        self.memory_before = 0
        self.memory_highest = 0

    async def run(self, numbers: Iterator[int]) -> None:
        async with asyncio.TaskGroup() as tasks:
            lanes = [tasks.create_task(self._lane(numbers)) for _ in range(LANES)]
            watching = tasks.create_task(self._watch())
            await asyncio.wait(lanes)
            watching.cancel()
        self._look()
        with closing(Lane(self._target.address)) as lane:
            outcome = await lane.exchange(_HEALTH)
        if outcome.answers != (Answer(200),):
            self.findings.append(Finding(None, "", f"the ingress does not answer any more: {outcome}"))
        else:
            metrics = await asyncio.to_thread(self._target.metrics)
            self.findings += [Finding(None, "", what) for what in reveals(metrics, "the metrics")]

    async def _lane(self, numbers: Iterator[int]) -> None:
        with closing(Lane(self._target.address)) as lane:
            for number in numbers:
                if len(self._books.findings) >= ENOUGH:
                    return
                request = make(self._books.seed, number)
                if request.sending is Sending.STALLED and not self._stalls:
                    continue
                signed = self._books.asked(request)
                self._books.answered(request, signed, await lane.exchange(request))
                self.sent += 1
                if self.sent == WARM_UP:
                    self.memory_before = self._target.memory()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self._look()
            for written in self._follower.take():
                self._books.recorded(written)

    def _look(self) -> None:
        try:
            self.memory_highest = max(self.memory_highest, self._target.memory())
        except psutil.NoSuchProcess:
            self.findings.append(Finding(None, "", "the process of the ingress is gone"))
        self._progress(self.sent, time.monotonic() - self._began)
