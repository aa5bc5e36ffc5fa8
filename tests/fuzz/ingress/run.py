"""One run: an ingress, the requests, the topics read alongside, and everything looked at afterwards.

Leaves to others: which broker and registry there are, and how the result is shown.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass

import uvloop

from tests import servers
from tests.fuzz.ingress.books import Books, Tally
from tests.fuzz.ingress.checks import Finding, wrong
from tests.fuzz.ingress.client import Lane
from tests.fuzz.ingress.oracle import judge
from tests.fuzz.ingress.sender import Progress, Sender
from tests.fuzz.ingress.shrinking import shrunk
from tests.fuzz.ingress.target import Place, target, wrong_with_log, wrong_with_memory
from tests.fuzz.ingress.topics import Follower
from tests.fuzz.ingress.wire import Request, Sending


@dataclass(frozen=True, slots=True)
class Result:
    """`tallies` by kind; memory as in `Sender`."""

    tallies: dict[str, Tally]
    sent: int
    seconds: float
    memory_before: int
    memory_highest: int
    log_bytes: int
    findings: tuple[Finding, ...]


def fuzz(place: Place, seed: int, numbers: range, progress: Progress, *, stalls: bool = True) -> Result:
    """Start an ingress, send it the requests of these numbers, and read every record that came of them.

    Raises topics.Missed when the topics could not be read in full: then nothing can be said.
    """
    books = Books(seed)
    bad_end: list[str] = []
    with closing(Follower(place.bootstrap, place.registry)) as follower:
        follower.start()
        sender = None
        try:
            with target(place) as under_test:
                sender = Sender(under_test, books, follower, progress, stalls=stalls)
                began = time.monotonic()
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(sender.run(iter(numbers)))
                seconds = time.monotonic() - began
        except servers.ServerFailedError as failed:
            if sender is None:  # it did not even start
                raise
            bad_end.append(str(failed))
        for written in follower.rest():
            books.recorded(written)
    books.close()
    log = under_test.log.read_bytes()
    of_process = (
        *wrong_with_memory(sender.memory_before, sender.memory_highest),
        *wrong_with_log(log),
        *bad_end,
    )
    return Result(
        books.tallies,
        sender.sent,
        seconds,
        sender.memory_before,
        sender.memory_highest,
        len(log),
        (*books.findings, *sender.findings, *(Finding(None, "", what) for what in of_process)),
    )


def smallest(place: Place, request: Request) -> bytes:
    """The request without what does not matter; as it was when its answers alone show nothing wrong."""

    async def shrink(address: str) -> bytes:
        async def still_wrong(raw: bytes) -> bool:
            unsure = Sending.UNCLEAR if request.sending.owes_an_answer else request.sending
            tried = Request(request.number, request.kind, raw, unsure)
            with closing(Lane(address)) as lane:
                outcome = await lane.exchange(tried)
            return any(True for _ in wrong(tried, judge(raw), outcome))

        return await shrunk(request.raw, still_wrong)

    with target(place, "ingress-again") as again:
        return asyncio.run(shrink(again.address))
