"""What a directory holds at the start: the books are made from the files that a crash or an end left.

Guarantees: every whole entry that the cursor does not name as forgotten is in the books; a torn tail is cut
off; damage is logged and counted, its file put aside once the readable rest is forgotten (at once when there
is none), never deleted; no recovered file is ever appended to. A crash in here leaves what the next start
recovers likewise. Leaves to others: that nobody else works in the directory.
"""

from pathlib import Path

import msgspec
import structlog

from ingress.journal import cursor, sweeping
from ingress.journal.backlog import Segment, SegmentFile
from ingress.journal.cursor import Forgotten
from ingress.journal.disk import Disk
from ingress.journal.errors import JournalUnusable
from ingress.journal.format import Scan, UnknownVersion, scan
from ingress.journal.sweeping import DAMAGED, SEGMENT, Finished

log = structlog.get_logger("ingress.journal")

_NOTHING = Forgotten(0)


class Recovered(msgspec.Struct, frozen=True):
    """The segments with entries left, oldest first; the number for the next; how much damage there is."""

    segments: list[Segment]
    next_number: int
    damaged: int


def recover(directory: Path, disk: Disk) -> Recovered:
    """Read everything. Blocks. Raises JournalUnusable for a file of a later version, and OSError."""
    forgotten = _forgotten(directory / cursor.NAME)
    numbers = {path: int(path.stem) for path in directory.iterdir() if _is_numbered(path)}
    segments: list[Segment] = []
    damaged = 0
    for path, number in sorted(numbers.items(), key=lambda item: item[1]):
        if path.suffix == DAMAGED:
            log.warning("journal.damaged_file_kept", file=str(path), do="look into it, then delete it")
            continue
        found = _scan(path)
        damaged += len(found.damaged)
        segment = _segment(SegmentFile(number, path, found.marker), found, forgotten)
        if segment.left:
            if path.stat().st_size > found.end:
                log.warning("journal.tail_cut", file=str(path), bytes=path.stat().st_size - found.end)
                disk.cut(path, found.end)
            segments.append(segment)
        else:
            sweeping.remove(Finished.of(segment), disk)
    # Behind all that is there, so that positions are ordered, and no file put aside is written over.
    return Recovered(segments, max(numbers.values(), default=0) + 1, damaged)


def has_entries(directory: Path) -> bool:
    """Whether there is a segment in it, which only a journal that was drained and closed does not have."""
    return any(path.suffix == SEGMENT and _is_numbered(path) for path in directory.iterdir())


def _is_numbered(path: Path) -> bool:
    return path.suffix in (SEGMENT, DAMAGED) and path.stem.isascii() and path.stem.isdigit()


def _scan(path: Path) -> Scan:
    try:
        found = scan(path.read_bytes())
    except UnknownVersion as unknown:
        raise JournalUnusable(
            f"{path}: {unknown}; let the version that wrote it drain it, or move the file away"
        ) from unknown
    for begin, end in found.damaged:
        log.error("journal.damaged", file=str(path), begin=begin, end=end, readable=len(found.found))
    return found


def _segment(file: SegmentFile, found: Scan, forgotten: dict[bytes, Forgotten]) -> Segment:
    segment = Segment(file, length=found.end, sealed=True)
    segment.damaged = bool(found.damaged)
    gone = forgotten.get(file.marker, _NOTHING)
    beyond = set(gone.beyond)
    for offset, _, entry in found.found:
        segment.add(offset, entry.received_at, entry.key_hash)
    for offset in segment.offsets:
        if offset < gone.before or offset in beyond:
            segment.forget(offset)
    return segment


def _forgotten(path: Path) -> dict[bytes, Forgotten]:
    try:
        known = cursor.read(path.read_bytes())
    except FileNotFoundError:
        return {}
    if known is None:
        log.warning("journal.cursor_unreadable", file=str(path), then="entries may be given out again")
        return {}
    return known
