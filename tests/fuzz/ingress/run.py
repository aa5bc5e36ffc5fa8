"""One run: requests over many connections at once, the topics read alongside, the process watched.

Guarantees: every number of the range is sent once, whatever the order; ends early after enough findings; the
ingress has ended, and with it all that it had under way, before the last record is read.
Leaves to others: which servers there are, and how the result is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from tests import servers
from tests.fuzz.ingress.checks import ENOUGH, Books, Finding, wrong
from tests.fuzz.ingress.client import Answer, Ended, Lane, Outcome
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.oracle import judge
from tests.fuzz.ingress.sdk import TOKENS
from tests.fuzz.ingress.shrinking import shrunk
from tests.fuzz.ingress.topics import Follower
from tests.fuzz.ingress.wire import Request, Sending

# More than this many at once only makes each wait longer on two cores.
LANES = 48
# The process may grow by this while it is fuzzed: its caches, its producer's queue, some batches of 1 MiB on
# their way at once, and what the allocator keeps of them.
MOST_GROWTH = 160 * 2**20
# And its log: one line per reason in ten seconds, and a few besides, whatever is sent.
LARGEST_LOG = 2 * 2**20
# What was allocated for the first time by these does not count as growth.
WARM_UP = 500

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Memory is the resident one of the ingress, in bytes: after the warm-up, and at its highest."""

    books: Books
    seconds: float
    memory_before: int
    memory_highest: int
    log_bytes: int
    findings: tuple[Finding, ...]

    @property
    def sent(self) -> int:
        return sum(tally.requests for tally in self.books.tallies.values())


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run goes: a broker and a registry that are there, and a directory for the ingress's log."""

    bootstrap: str
    registry: str
    directory: Path


def fuzz(
    place: Place, seed: int, numbers: range, progress: Progress, *, stalls: bool = True, lanes: int = LANES
) -> Result:
    """Start an ingress, send it the requests of these numbers, and look at everything afterwards.

    `stalls`: also those that wait for the server to lose patience, seconds each.
    """
    books = Books(seed)
    with closing(Follower(place.bootstrap, place.registry)) as follower:
        follower.start()
        log = place.directory / "ingress.log"
        options = ("--bootstrap", place.bootstrap, "--registry", place.registry)
        with servers.running("tests.ingress.serve", *options, log=log) as server:
            sender = _Sender(server, books, follower, progress, stalls)
            began = time.monotonic()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(sender.run(iter(numbers), lanes))
            seconds = time.monotonic() - began
        for written in follower.rest():
            books.recorded(written)
    books.close()
    return Result(
        books,
        seconds,
        sender.memory_before,
        sender.memory_highest,
        log.stat().st_size,
        (*books.findings, *sender.findings, *_of_memory(sender), *_of_log(log)),
    )


class _Sender:
    def __init__(
        self, server: servers.Server, books: Books, follower: Follower, progress: Progress, stalls: bool
    ) -> None:
        self._server = server
        self._process = psutil.Process(server.pid)
        self._books = books
        self._follower = follower
        self._progress = progress
        self._stalls = stalls
        self._sent = 0
        self._began = time.monotonic()
        self.findings: list[Finding] = []
        self.memory_before = 0
        self.memory_highest = 0

    async def run(self, numbers: Iterator[int], lanes: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._lane(numbers)) for _ in range(lanes)]
            watching = tasks.create_task(self._watch())
            await asyncio.wait(running)
            watching.cancel()
        self._look()
        with closing(Lane(self._server.address)) as lane:
            health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            try:
                outcome = await lane.exchange(Request(0, "health", health))
            except OSError as gone:
                outcome = Outcome((), Ended.RESET, str(gone).encode())
        if outcome.answers != (Answer(200),):
            self.findings.append(Finding(None, "", f"the ingress does not answer any more: {outcome}"))

    async def _lane(self, numbers: Iterator[int]) -> None:
        with closing(Lane(self._server.address)) as lane:
            for number in numbers:
                if len(self._books.findings) >= ENOUGH:
                    return
                request = make(self._books.seed, number)
                if request.sending is Sending.STALLED and not self._stalls:
                    continue
                signed = self._books.asked(request)
                try:
                    outcome = await lane.exchange(request)
                except OSError as gone:
                    self.findings.append(Finding(number, request.kind, f"no connection for it: {gone}"))
                    return
                self._books.answered(request, signed, outcome)
                self._sent += 1
                if self._sent == WARM_UP:
                    self.memory_before = self._memory()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self._look()
            for written in self._follower.take():
                self._books.recorded(written)

    def _look(self) -> None:
        self.memory_highest = max(self.memory_highest, self._memory())
        self._progress(self._sent, time.monotonic() - self._began)

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)


def smallest(place: Place, request: Request) -> bytes:
    """The request without what does not matter; as it was when its answers alone show nothing wrong."""

    async def shrink(address: str) -> bytes:
        async def still_wrong(raw: bytes) -> bool:
            unsure = Sending.UNCLEAR if request.sending.owes_an_answer else request.sending
            tried = Request(request.number, request.kind, raw, unsure)
            signed = judge(raw)
            with closing(Lane(address)) as lane:
                outcome = await lane.exchange(tried)
            return any(True for _ in wrong(tried, signed, outcome))

        return await shrunk(request.raw, still_wrong)

    log = place.directory / "ingress-again.log"
    options = ("--bootstrap", place.bootstrap, "--registry", place.registry)
    with servers.running("tests.ingress.serve", *options, log=log) as server:
        return asyncio.run(shrink(server.address))


def _of_memory(sender: _Sender) -> Iterator[Finding]:
    grown = sender.memory_highest - sender.memory_before
    if sender.memory_before and grown > MOST_GROWTH:
        yield Finding(None, "", f"the ingress grew by {grown >> 20} MB, more than {MOST_GROWTH >> 20}")


def _of_log(log: Path) -> Iterator[Finding]:
    """No secret, no whole number and no content in the log, and no flood."""
    content = log.read_bytes()
    if len(content) > LARGEST_LOG:
        yield Finding(None, "", f"the log has {len(content)} bytes: whoever sends rubbish fills the disk")
    for token in (token for tokens in TOKENS.values() for token in tokens):
        if token.encode() in content:
            yield Finding(None, "", "an auth token stands in the log")
    for text in (b"+1415555", b"70371"):
        if text in content:
            yield Finding(None, "", f"content of webhooks ({text.decode()}…) stands in the log")
