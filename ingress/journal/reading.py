"""Entries read back from the disk. Blocks: for a thread.

Guarantees: only whole, undamaged entries come out; what cannot be read is named, never left out silently.
Leaves to others: what to do about entries that cannot be read, and whether they were forgotten meanwhile.
"""

from collections.abc import Sequence

import msgspec

from ingress.journal.backlog import Wanted
from ingress.journal.disk import Disk
from ingress.journal.entries import Kept, Position
from ingress.journal.errors import JournalBroken
from ingress.journal.format import decode


class Unreadable(msgspec.Struct, frozen=True):
    """An entry that is on the disk according to the books, and not according to the disk."""

    position: Position
    file: str
    why: str


class Read(msgspec.Struct, frozen=True):
    """Every entry that was wanted, in order, in one list or in the other."""

    kept: list[Kept]
    unreadable: list[Unreadable]


def read(plan: Sequence[Wanted], disk: Disk) -> Read:
    """Read them. Raises JournalBroken when the disk cannot be read now: it may be able to later."""
    result = Read([], [])
    for wanted in plan:
        _read(wanted, disk, result)
    return result


def _read(wanted: Wanted, disk: Disk, result: Read) -> None:
    path, begin = wanted.file.path, wanted.offsets[0]
    why = "its bytes were changed"
    try:
        data = disk.read(path, begin, wanted.end - begin)
    except FileNotFoundError:
        data, why = b"", "the file is gone"
    except OSError as failed:
        raise JournalBroken(f"{path}: cannot be read ({failed.strerror}); look after the disk") from failed
    for offset in wanted.offsets:
        position = Position(wanted.file.number, offset)
        found = decode(data, offset - begin, wanted.file.marker)
        if found is None:
            result.unreadable.append(Unreadable(position, str(path), why))
        else:
            result.kept.append(Kept(position, found.entry))
