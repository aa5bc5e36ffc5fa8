"""A journal's directory: taken for one process, and found again when its process is gone.

Guarantees: whoever holds the lock is alone in the directory; the lock ends with the process, however it ends.
Leaves to others: which directory belongs to which worker.
"""

import os
from collections.abc import Collection
from pathlib import Path

from ingress.journal.disk import Disk
from ingress.journal.errors import JournalLocked, JournalUnusable
from ingress.journal.recovery import Recovered, has_entries, recover

LOCK = "lock"


def opened(directory: Path, disk: Disk) -> tuple[int, Recovered]:
    """The lock, held until this descriptor is closed, and what is in the directory. Blocks.

    Raises JournalLocked, JournalUnusable.
    """
    try:
        disk.make_directory(directory)
        lock = disk.lock(directory / LOCK)
    except BlockingIOError as taken:
        raise JournalLocked(
            f"{directory}: another process has this journal open; end it, or give this one another directory"
        ) from taken
    except OSError as failed:
        raise _unusable(directory, failed) from failed
    try:
        return lock, recover(directory, disk)
    except OSError as failed:
        os.close(lock)
        raise _unusable(directory, failed) from failed
    except BaseException:
        os.close(lock)
        raise


def left_behind(root: Path, *, in_use: Collection[str]) -> list[Path]:
    """Directories below `root` with a journal that nobody has open and that may hold entries, sorted.

    `in_use`: names never to look at, those of all workers that run or are about to: asking for a lock takes
    it for a moment, and somebody who opens it then would be refused. Another process may open one before the
    caller does: `Journal.open` then raises JournalLocked. Blocks. Raises JournalUnusable when a directory
    cannot be read; a `root` that is not there has none.
    """
    disk = Disk()
    try:
        if not root.is_dir():
            return []
        candidates = sorted(p for p in root.iterdir() if p.name not in in_use and (p / LOCK).is_file())
        return [path for path in candidates if has_entries(path) and _is_free(path, disk)]
    except OSError as failed:
        raise _unusable(root, failed) from failed


def _is_free(directory: Path, disk: Disk) -> bool:
    try:
        os.close(disk.lock(directory / LOCK))
    except BlockingIOError:
        return False
    return True


def _unusable(directory: Path, failed: OSError) -> JournalUnusable:
    where = failed.filename or directory
    return JournalUnusable(
        f"{where}: {failed.strerror}; the journal needs a directory of a local disk that this user may write"
    )
