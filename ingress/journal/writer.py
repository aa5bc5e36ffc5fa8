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

import msgspec
import structlog

from ingress.journal import sweeping
from ingress.journal.backlog import SegmentFile
from ingress.journal.disk import Disk
from ingress.journal.errors import JournalBroken, JournalError, JournalFull
from ingress.journal.format import FRAME_BYTES, HEADER_BYTES, MARKER_BYTES, frame, header
from ingress.journal.reports import Failed, Job, Report, Sealed, Works, Written
from ingress.journal.sweeping import Sweep

log = structlog.get_logger("ingress.journal")

# What has to fit before a full disk counts as one with room again: the largest webhook (64 KB).
PROBE_BYTES = 65_536
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Active(msgspec.Struct):
    """The segment that is being appended to. `length`: up to here everything is synced."""

    file: SegmentFile
    fd: int
    length: int


class Writer:
    """`start`, then `put` and `sweep` from one thread, at the end `end` and `join`."""

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
        self._active: _Active | None = None
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
            self._append(active, b"".join(frames))
        except Exception as failed:
            self._report(Failed(group, self._failure(failed)))
        else:
            active.length = end
            self._well()
            self._report(Written(active.file, end, group, offsets))

    def _begin(self) -> _Active:
        number, self._next_number = self._next_number, self._next_number + 1
        marker = os.urandom(MARKER_BYTES)
        file = SegmentFile(number, self._directory / sweeping.name(number), marker)
        active = _Active(file, self._disk.create(file.path), HEADER_BYTES)
        try:
            self._disk.write(active.fd, header(marker))
            self._disk.sync_directory(self._directory)
        except BaseException:
            self._abandon(active)
            raise
        self._active = active
        return active

    def _append(self, active: _Active, data: bytes) -> None:
        try:
            self._disk.write(active.fd, data)
        except BaseException:
            self._cut_back(active)
            self._abandon(active)
            raise
        try:
            self._disk.sync(active.fd)
        except BaseException:
            self._abandon(active, length=active.length + len(data))
            raise

    def _cut_back(self, active: _Active) -> None:
        try:
            self._disk.truncate(active.fd, active.length)
        except OSError as failed:  # the next start cuts it
            log.warning("journal.not_cut", file=str(active.file.path), error=failed.strerror)

    def _abandon(self, active: _Active, *, length: int | None = None) -> None:
        """Never append to this one again; `length` is the file's when it is not the synced one."""
        self._active = None
        self._close(active)
        if active.length > HEADER_BYTES:
            self._report(Sealed(active.file, active.length if length is None else length))
            return
        try:
            self._disk.unlink(active.file.path)  # nobody was told that anything in it is kept
        except OSError as failed:  # the next start deletes it
            log.warning("journal.not_deleted", file=str(active.file.path), error=failed.strerror)

    def _seal(self) -> None:
        if self._active is not None:
            self._abandon(self._active)

    def _close(self, active: _Active) -> None:
        try:
            self._disk.close(active.fd)
        except OSError as failed:  # all that counts was synced before
            log.warning("journal.not_closed", file=str(active.file.path), error=failed.strerror)

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
            active = self._begin()
            self._append(active, bytes(PROBE_BYTES))
        except Exception as failed:
            self._failure(failed)
            return
        self._seal()
        self._well()
        self._report(Works())
