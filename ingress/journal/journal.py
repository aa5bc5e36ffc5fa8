"""Accepted records on the local disk for as long as the broker is slow or away.

Guarantees: an append is confirmed only after an fsync; what was confirmed comes out of `head`, in the order
of the appends, until it is forgotten, across kill -9, power failure and restart; nothing blocks the event
loop; the disk space is bounded. What was forgotten may, after a crash, come out again (see
`ingress.journal.sweeping`), and so may what was not confirmed (`ingress.journal.writer`): consumers drop the
second copy by event id.
Leaves to others: the broker, when to drain, and time-outs. All methods belong on one event loop's thread.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import structlog

from ingress.journal import cursor, sweeping
from ingress.journal.backlog import Backlog
from ingress.journal.bound import Bound
from ingress.journal.disk import Disk
from ingress.journal.entries import Entry, Kept, hash_of
from ingress.journal.errors import JournalBroken, JournalError, JournalFull
from ingress.journal.format import encode
from ingress.journal.opening import opened
from ingress.journal.reading import Unreadable, read
from ingress.journal.recovery import Recovered
from ingress.journal.reports import Failed, Job, Report, Sealed, Swept, Works, Written
from ingress.journal.sweeping import Finished, Sweep
from ingress.journal.writer import Writer

log = structlog.get_logger("ingress.journal")

SEGMENT_BYTES = 4 * 2**20
# One `head` reads no more, or a hundred large webhooks at a time would weigh on memory.
MOST_HEAD_BYTES = 4 * 2**20
PROBE_S = 1.0


class Journal:
    """`open`, `start` on the event loop, then use, at the end `close`."""

    __slots__ = (
        "_backlog",
        "_bound",
        "_closed",
        "_damaged",
        "_directory",
        "_disk",
        "_failing",
        "_lock",
        "_loop",
        "_writer",
    )

    def __init__(
        self,
        directory: Path,
        recovered: Recovered,
        lock: int,
        disk: Disk,
        *,
        bound: Bound,
        probe_s: float,
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._lock = lock
        self._bound = bound
        self._backlog = Backlog(recovered.segments)
        self._damaged = recovered.damaged
        self._failing: str | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = Writer(
            directory,
            disk,
            segment_bytes=bound.segment_bytes,
            next_number=recovered.next_number,
            probe_s=probe_s,
            report=self._report,
        )

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        most_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        probe_s: float = PROBE_S,
        disk: Disk | None = None,
    ) -> Self:
        """Lock the directory (made if need be) and recover what is in it. Blocks: some 0.4 s per 100 MB.

        `most_bytes`: what the segments may take on the disk, all together (after failed writes a few headers
        of 22 bytes more). `segment_bytes`: when to begin the next; at most a quarter of `most_bytes`.
        `probe_s`: how often a disk that failed is tried when nothing is appended. Raises JournalLocked when
        another process has it, JournalUnusable for anything else, with where and what to do in the message;
        ValueError for sizes that hold nothing.
        """
        disk = disk or Disk()
        bound = Bound(most_bytes, segment_bytes)
        lock, recovered = opened(directory, disk)
        return cls(directory, recovered, lock, disk, bound=bound, probe_s=probe_s)

    def start(self) -> None:
        """Begin to write; results go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()

    def append(self, entry: Entry) -> "asyncio.Future[None]":
        """Hand the entry over; the future is done once the entry is on the medium. Never blocks.

        The future fails with JournalFull (the bound, the disk or a quota) or JournalBroken (any other I/O
        error, or the journal is not open). An entry handed over is written even when nobody waits for the
        future any more. Raises UnicodeEncodeError for a topic or key that is not valid Unicode.
        """
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed or self._loop is None:
            settled.set_exception(JournalBroken(f"{self._directory}: the journal is not open"))
            return settled
        job = Job(encode(entry), entry.received_at, entry.key_hash, settled)
        full = self._bound.let_in(job.size_bytes, self._backlog.size_bytes)
        if full is not None:
            settled.set_exception(JournalFull(f"{self._directory}: {full}"))
            return settled
        self._backlog.expect(job.key)
        self._writer.put(job)
        return settled

    def holds(self, topic: str, key: str) -> bool:
        """Whether an entry of this key is on its way to the disk, or there and not forgotten."""
        return self._backlog.holds(hash_of(topic, key))

    @property
    def depth(self) -> int:
        """Entries on the disk that are not forgotten."""
        return self._backlog.depth

    @property
    def size_bytes(self) -> int:
        """What the segments take on the disk, and what waits to be written."""
        return self._backlog.size_bytes + self._bound.queued_bytes

    @property
    def oldest_received_at(self) -> int | None:
        """When the first of the entries on the disk was received, in ms since the epoch; None without any."""
        return self._backlog.oldest_received_at

    @property
    def damaged(self) -> int:
        """How many stretches of bytes, or entries, turned out unreadable since `open`; each is logged."""
        return self._damaged

    @property
    def trouble(self) -> str | None:
        """Why entries are not taken now. It goes away by itself: with room, or when a probe can write."""
        if self._closed or self._loop is None:
            return f"{self._directory}: the journal is not open"
        full = self._bound.trouble(self._backlog.size_bytes)
        return self._failing or (full and f"{self._directory}: {full}")

    async def head(self, most: int) -> list[Kept]:
        """The oldest entries on the disk that are not forgotten, in the order of the appends.

        At most `most`, fewer when they are large (4 MiB together); empty only when there are none. Entries
        that turn out to be unreadable are logged, counted in `damaged` and given up. Raises JournalBroken
        when the disk cannot be read now, and when the journal is closed.
        """
        while True:
            self._must_be_open()
            plan = self._backlog.head(most, MOST_HEAD_BYTES)
            if not plan:
                return []
            result = await asyncio.to_thread(read, plan, self._disk)
            self._give_up(result.unreadable)
            kept = [one for one in result.kept if self._backlog.has(one.position)]
            if kept:
                return kept

    def forget(self, kept: Sequence[Kept]) -> None:
        """The broker has these, or nobody needs them: any of what `head` gave; twice is the same as once.

        Raises ValueError for a position that this journal never gave, JournalBroken when it is not open.
        """
        self._must_be_open()
        if self._loop is None:
            raise JournalBroken(f"{self._directory}: the journal is not started")
        before = self._backlog.depth
        for one in kept:
            self._backlog.forget(one.position)
        if self._backlog.depth < before:
            self._writer.put(self._sweep())

    async def close(self) -> None:
        """Return when all that was appended is written or has failed, and the directory is unlocked."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None:
            self._writer.end()
            await asyncio.to_thread(self._writer.join)  # its reports have arrived before this returns
            self._apply(await asyncio.to_thread(sweeping.sweep, [self._sweep()], self._disk))
        os.close(self._lock)

    def _must_be_open(self) -> None:
        if self._closed:
            raise JournalBroken(f"{self._directory}: the journal is closed")

    def _sweep(self) -> Sweep:
        return Sweep(
            cursor.written(self._backlog.forgotten()),
            self._directory / cursor.NAME,
            tuple(Finished.of(segment) for segment in self._backlog.finished()),
        )

    def _report(self, report: Report) -> None:
        """On the writer's thread: one wake-up of the loop for each group."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._apply, report)

    def _apply(self, report: Report) -> None:
        match report:
            case Written():
                self._failing = None
                self._written(report)
            case Failed():
                self._failing = str(report.failure)
                for job in report.jobs:
                    self._bound.queued_bytes -= job.size_bytes
                    self._backlog.release(job.key)
                    _settle(job.settled, report.failure)
            case Sealed():
                segment = self._backlog.segment(report.file)
                self._backlog.resize(segment, report.length)
                segment.sealed = True
                if not segment.left and not self._closed:
                    self._writer.put(self._sweep())
            case Works():
                self._failing = None
            case Swept():
                for number in report.numbers:
                    self._backlog.drop(number)

    def _written(self, written: Written) -> None:
        segment = self._backlog.segment(written.file)
        self._backlog.resize(segment, written.length)
        for job, offset in zip(written.jobs, written.offsets, strict=True):
            self._bound.queued_bytes -= job.size_bytes
            self._backlog.add(segment, offset, job.received_at, job.key)
            _settle(job.settled, None)

    def _give_up(self, unreadable: Sequence[Unreadable]) -> None:
        for one in unreadable:
            if self._backlog.forget(one.position):
                self._damaged += 1
                self._backlog.damage(one.position.segment)
                log.error("journal.damaged", file=one.file, begin=one.position.offset, why=one.why)
        if unreadable and self._loop is not None and not self._closed:
            self._writer.put(self._sweep())


def _settle(settled: "asyncio.Future[None]", failure: JournalError | None) -> None:
    if settled.done():  # whoever waited went away
        return
    if failure is None:
        settled.set_result(None)
    else:
        settled.set_exception(type(failure)(str(failure)))
