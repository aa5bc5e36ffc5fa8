"""Disks that fail or hang when a test says so; all else is the real one."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Self

from ingress.journal.disk import Disk

# No test waits longer for anything; a hanging disk then goes on by itself.
LONGEST_S = 20


class Slow(Disk):
    """One operation, `sync` of files or `read`, hangs until `go_on`."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self.reached = threading.Event()
        self.syncs = 0
        self._may = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()

    def go_on(self) -> None:
        self._may.set()

    def sync(self, fd: int) -> None:
        self._hang("sync")
        self.syncs += 1
        super().sync(fd)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        self._hang("read")
        return super().read(path, offset, length)

    def _hang(self, operation: str) -> None:
        if operation == self._operation:
            self.reached.set()
            self._may.wait(LONGEST_S)


class Failing(Disk):
    """Operations named in `errors` fail with that errno; the write has done half of its work before."""

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}
        self.written_after_failed_sync = False
        self._distrusted: set[str] = set()

    def _fail(self, operation: str, path: object = None) -> None:
        number = self.errors.get(operation)  # once: the test may change it at any moment
        if number is not None:
            raise OSError(number, os.strerror(number), path)

    def create(self, path: Path) -> int:
        self._fail("create", path)
        return super().create(path)

    def write(self, fd: int, data: bytes) -> None:
        if os.readlink(f"/proc/self/fd/{fd}") in self._distrusted:
            self.written_after_failed_sync = True
        try:
            self._fail("write")
        except OSError:
            super().write(fd, data[: len(data) // 2])
            raise
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        try:
            self._fail("sync")
        except OSError:
            self._distrusted.add(os.readlink(f"/proc/self/fd/{fd}"))
            raise
        super().sync(fd)

    def sync_directory(self, path: Path) -> None:
        self._fail("sync_directory", path)
        super().sync_directory(path)

    def truncate(self, fd: int, length: int) -> None:
        self._fail("truncate")
        super().truncate(fd, length)

    def close(self, fd: int) -> None:
        super().close(fd)
        self._fail("close")

    def read(self, path: Path, offset: int, length: int) -> bytes:
        self._fail("read", path)
        return super().read(path, offset, length)

    def replace(self, path: Path, data: bytes) -> None:
        self._fail("replace", path)
        super().replace(path, data)

    def rename(self, path: Path, to: Path) -> None:
        self._fail("rename", path)
        super().rename(path, to)

    def unlink(self, path: Path) -> None:
        self._fail("unlink", path)
        super().unlink(path)

    def lock(self, path: Path) -> int:
        self._fail("lock", path)
        return super().lock(path)
