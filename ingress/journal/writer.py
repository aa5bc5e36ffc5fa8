"""The one thread that writes: everything that was handed over by then is one group, one write, one fdatasync.

Guarantees: an entry is reported as written only when it, and the name of its file, is on the medium; a file
is never appended to after an error; every job is reported once, in the order in which it was put.
Leaves to others: the books, and what to tell whoever waits. Reports come from the writer's thread.

A group, and what a crash (kill -9, power failure) after each step leaves behind:
1. take what is queued       nothing of it: nobody was told that it is kept
2. begin a segment, if need be: make the file, write the header, fsync the directory
                             a file without entries, or after a power failure none; the next start deletes it
3. write the group           some of it, the last entry perhaps torn: the next start cuts the torn one off and
                             gives the whole ones out, though nobody was told that they are kept
4. fdatasync                 all of it; senders who were not told repeat theirs: two copies, one event id
5. report                    the same

When step 3 fails the file is cut back to its last good length; when step 4 fails it is left alone, as what
is in it is not known any more ("fsyncgate": the kernel drops the pages that it could not write, and a second
fsync succeeds). Either way it is sealed, the group has failed, and the next group begins another segment.
"""

import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from ingress.journal import sweeping
from ingress.journal.active import Active
from ingress.journal.disk import Disk
from ingress.journal.errors import JournalBroken, JournalError, JournalFull
from ingress.journal.format import FRAME_BYTES, HEADER_BYTES, frame
from ingress.journal.reports import Failed, Job, Report, Sealed, Works, Written
from ingress.journal.sweeping import Sweep

log = structlog.get_logger("ingress.journal")

# What has to fit before a full disk counts as one with room again: the largest webhook (64 KB).
PROBE_BYTES = 65_536
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Writer:
    """`start`, then `put` from one thread, at the end `end` and `join`."""

    __slots__ = (
        "_active",
        "_directory",
        "_disk",
        "_errno",
        "_next_number",
        "_probe_at",
        "_probe_s",
        "_queue",
        "_report",
        "_segment_bytes",
        "_thread",
    )

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        *,
        segment_bytes: int,
        next_number: int,
        probe_s: float,
        report: Callable[[Report], None],
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._next_number = next_number
        self._probe_s = probe_s
        self._probe_at = 0.0
        self._report = report
        self._queue: SimpleQueue[Job | Sweep | None] = SimpleQueue()
        self._active: Active | None = None
        self._errno: int | None = None  # of the last group, when it failed
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job | Sweep) -> None:
        """Never blocks."""
        self._queue.put(job)

    def end(self) -> None:
        """What was put before is still done; then the active segment is sealed and the thread ends."""
        self._queue.put(None)

    def join(self) -> None:
        """Blocks until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            taken = self._take()
            jobs = [job for job in taken if isinstance(job, Job)]
            sweeps = [job for job in taken if isinstance(job, Sweep)]
            self._write(jobs)
            if sweeps:
                self._report(sweeping.sweep(sweeps, self._disk))
            if not jobs and self._errno is not None and time.monotonic() >= self._probe_at:
                self._probe()
            ending = None in taken
        self._seal()

    def _take(self) -> list[Job | Sweep | None]:
        """Everything that is queued, at least one; nothing when it is time to probe a disk that failed."""
        wait_s = None if self._errno is None else max(0.0, self._probe_at - time.monotonic())
        try:
            first = self._queue.get(timeout=wait_s)
        except Empty:
            return []
        return [first, *(self._queue.get() for _ in range(self._queue.qsize()))]  # nobody else takes

    def _write(self, jobs: Sequence[Job]) -> None:
        at = 0
        while at < len(jobs):
            if self._active is not None and not self._fits(self._active.length, jobs[at]):
                self._seal()
            length = HEADER_BYTES if self._active is None else self._active.length
            group: list[Job] = []
            while at < len(jobs) and (not group or self._fits(length, jobs[at])):
                group.append(jobs[at])
                length += FRAME_BYTES + len(jobs[at].body)
                at += 1
            self._write_group(group)

    def _fits(self, length: int, job: Job) -> bool:
        # An entry larger than a segment gets a segment of its own.
        return length <= HEADER_BYTES or length + FRAME_BYTES + len(job.body) <= self._segment_bytes

    def _write_group(self, group: list[Job]) -> None:
        try:
            active = self._active or self._begin()
            offsets, frames, end = [], [], active.length
            for job in group:
                offsets.append(end)
                frames.append(frame(active.file.marker, job.body))
                end += len(frames[-1])
            active.append(b"".join(frames))
        except Exception as failed:
            self._seal()
            self._report(Failed(group, self._failure(failed)))
        else:
            self._well()
            self._report(Written(active.file, active.length, group, offsets))

    def _begin(self) -> Active:
        number, self._next_number = self._next_number, self._next_number + 1
        self._active = Active.begin(self._directory, number, self._disk)
        return self._active

    def _seal(self) -> None:
        """Append no more to the active segment, if there is one."""
        active, self._active = self._active, None
        if active is not None and (length := active.give_up()) is not None:
            self._report(Sealed(active.file, length))

    def _failure(self, failed: Exception) -> JournalError:
        number = failed.errno if isinstance(failed, OSError) else None
        what = os.strerror(number) if number else type(failed).__name__
        if self._errno != (number or 0):  # one line an outage, not one a group
            log.error("journal.write_failed", directory=str(self._directory), error=what, exc_info=not number)
        self._errno = number or 0
        self._probe_at = time.monotonic() + self._probe_s
        if number in _FULL:
            return JournalFull(f"{self._directory}: {what}; free disk space or raise the quota")
        return JournalBroken(f"{self._directory}: {what} while an entry was written; look after the disk")

    def _well(self) -> None:
        if self._errno is not None:
            self._errno = None
            log.warning("journal.works_again", directory=str(self._directory))

    def _probe(self) -> None:
        """See whether a large entry would fit, in a segment that is then deleted; nobody may come to try."""
        try:
            self._begin().probe(PROBE_BYTES)
        except Exception as failed:
            self._failure(failed)
        else:
            self._well()
            self._report(Works())
        self._seal()
