"""What is done on the disk about forgotten entries: the cursor is written, finished segments are deleted.

Guarantees: a damaged segment is renamed to `.damaged`, never deleted. Nothing here can lose an entry.

A sweep, and what a crash after each step leaves behind:
1. entries are forgotten (memory)   what the last cursor does not name is given out again after the restart
2. the cursor replaces the old one  a `cursor.new` that the next start overwrites, or the new cursor; after a
                                    power failure an old or an unreadable one: as after 1
3. finished files are deleted       the ones that are left are finished by the cursor, and the next start
                                    deletes them; after a power failure deleted files may be back, likewise
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from ingress.journal.backlog import Segment
from ingress.journal.disk import Disk
from ingress.journal.reports import Swept

log = structlog.get_logger("ingress.journal")

SEGMENT = ".segment"
DAMAGED = ".damaged"


def name(number: int) -> str:
    """The file name of a segment; sorted as the numbers are."""
    return f"{number:020d}{SEGMENT}"


class Finished(msgspec.Struct, frozen=True):
    """A segment whose file is not needed any more."""

    number: int
    path: Path
    damaged: bool

    @classmethod
    def of(cls, segment: Segment) -> "Finished":
        return cls(segment.file.number, segment.file.path, segment.damaged)


class Sweep(msgspec.Struct, frozen=True):
    """Write this content to the cursor file, and delete these."""

    cursor: bytes
    cursor_path: Path
    finished: tuple[Finished, ...]


def sweep(sweeps: Sequence[Sweep], disk: Disk) -> Swept:
    """Do all of them; of the cursors only the last counts. Blocks. Failures are logged, not raised."""
    last = sweeps[-1]
    try:
        disk.replace(last.cursor_path, last.cursor)
    except OSError as failed:
        log.warning("journal.cursor_not_written", file=str(last.cursor_path), error=failed.strerror)
    return Swept([done.number for each in sweeps for done in each.finished if remove(done, disk)])


def remove(finished: Finished, disk: Disk) -> bool:
    """Whether the file is out of the way. When it could not be removed, the next start tries again."""
    try:
        if finished.damaged:
            aside = finished.path.with_suffix(DAMAGED)
            disk.rename(finished.path, aside)
            log.error("journal.put_aside", file=str(aside), do="look after the disk, then delete the file")
        else:
            disk.unlink(finished.path)
    except OSError as failed:
        log.warning("journal.not_deleted", file=str(finished.path), error=failed.strerror)
        return False
    return True
