"""The file operations of the journal, one method each, so that a test can let any of them fail.

Guarantees: files and directories are readable by their owner only (they hold phone numbers and texts).
Leaves to others: what an error means; every method may raise OSError.
"""

import fcntl
import os
from pathlib import Path


class Disk:
    """The real one."""

    def make_directory(self, path: Path) -> None:
        """Make it and its parents, so that they outlive a power failure; no error when it is there."""
        if path.is_dir():
            return
        self.make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_directory(path.parent)

    def lock(self, path: Path) -> int:
        """Make the file if need be and lock it (flock) until the returned descriptor is closed.

        Raises BlockingIOError when somebody else, in this process or another, has it locked.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def create(self, path: Path) -> int:
        """A new file to append to; raises FileExistsError rather than touch one that is there."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of `data`; after an error any part of it may be in the file."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    def sync(self, fd: int) -> None:
        """Return when the content, and the length, is on the medium."""
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in the directory are on the medium."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def cut(self, path: Path, length: int) -> None:
        os.truncate(path, length)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only when the file ends before."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def replace(self, path: Path, data: bytes) -> None:
        """Give the file this content, so that a crash leaves the old or the new; not synced."""
        beside = path.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(path)

    def rename(self, path: Path, to: Path) -> None:
        path.replace(to)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)
