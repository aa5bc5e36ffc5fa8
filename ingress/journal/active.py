"""The segment that is being appended to.

Guarantees: after an error of `append` what was in it before is still whole; a segment in which nothing was
ever synced leaves no file.
Leaves to others: to give it up after an error, and never to append to it again.
"""

import os
from pathlib import Path
from typing import Self

import structlog

from ingress.journal import sweeping
from ingress.journal.backlog import SegmentFile
from ingress.journal.disk import Disk
from ingress.journal.format import HEADER_BYTES, MARKER_BYTES, header

log = structlog.get_logger("ingress.journal")


class Active:
    """`length`: up to here everything is on the medium. Every method blocks."""

    __slots__ = ("_disk", "_fd", "_file_bytes", "file", "length")

    def __init__(self, file: SegmentFile, fd: int, disk: Disk) -> None:
        self.file = file
        self.length = HEADER_BYTES
        self._file_bytes = HEADER_BYTES
        self._fd = fd
        self._disk = disk

    @classmethod
    def begin(cls, directory: Path, number: int, disk: Disk) -> Self:
        """A new file whose name is on the medium; the header is with the first `append`. Raises OSError."""
        marker = os.urandom(MARKER_BYTES)
        path = directory / sweeping.name(number)
        active = cls(SegmentFile(number, path, marker), disk.create(path), disk)
        try:
            disk.write(active._fd, header(marker))
            disk.sync_directory(directory)
        except BaseException:
            active.give_up()
            raise
        return active

    def append(self, data: bytes) -> None:
        """Return when `data` is on the medium. Raises OSError: then it is not known how much of it is."""
        self._put(data)
        self.length = self._file_bytes

    def probe(self, size: int) -> None:
        """Return when so many bytes that mean nothing are on the medium; only `give_up` may follow."""
        self._put(bytes(size))

    def give_up(self) -> int | None:
        """Close the file; what it takes on the disk, or None: nothing was kept in it, and it is deleted."""
        try:
            self._disk.close(self._fd)
        except OSError as failed:  # all that counts was synced before
            log.warning("journal.not_closed", file=str(self.file.path), error=failed.strerror)
        if self.length > HEADER_BYTES:
            return self._file_bytes
        try:
            self._disk.unlink(self.file.path)
        except OSError as failed:  # the next start deletes it, or gives out what nobody was told to be kept
            log.warning("journal.not_deleted", file=str(self.file.path), error=failed.strerror)
        return None

    def _put(self, data: bytes) -> None:
        try:
            self._disk.write(self._fd, data)
        except BaseException:
            self._cut_back()
            raise
        self._file_bytes += len(data)
        # After a failed sync the file is left alone: what is in it is not known any more.
        self._disk.sync(self._fd)

    def _cut_back(self) -> None:
        try:
            self._disk.truncate(self._fd, self.length)
        except OSError as failed:  # the next start cuts it
            log.warning("journal.not_cut", file=str(self.file.path), error=failed.strerror)
