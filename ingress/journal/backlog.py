"""What is on the disk and not forgotten: the books of the journal, in memory. No I/O, no thread of its own.

Guarantees: entries come out in the order in which they went in; a key is held from the moment its entry is
expected until its last entry is forgotten (or its write failed). Some 24 bytes an entry and a hundred a key,
no values. Keys are kept as 64-bit hashes: two keys may, once in 2**64, be taken for one and the same, which
makes the second one be held too, and never the other way round.
Leaves to others: files. Only one thread, the event loop's, may touch it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ingress.journal.cursor import Forgotten
from ingress.journal.entries import Position


class SegmentFile(msgspec.Struct, frozen=True):
    """Which file a segment is, and the marker of its entries."""

    number: int
    path: Path
    marker: bytes


class Wanted(msgspec.Struct, frozen=True):
    """Entries to read from one segment: they begin at `offsets` (ascending), the last one ends by `end`."""

    file: SegmentFile
    offsets: tuple[int, ...]
    end: int


class Segment:
    """The entries of one file, by index: where each begins, when it was received, its key's hash.

    `length`: what the file takes on the disk, in bytes. `sealed`: never appended to again. `damaged`: bytes
    in it could not be read, so it is put aside rather than deleted. `leaving`: it is being deleted.
    """

    __slots__ = (
        "ahead",
        "damaged",
        "file",
        "first",
        "keys",
        "leaving",
        "length",
        "offsets",
        "received",
        "sealed",
    )

    def __init__(self, file: SegmentFile, *, length: int = 0, sealed: bool = False) -> None:
        self.file = file
        self.length = length
        self.sealed = sealed
        self.damaged = False
        self.leaving = False
        self.offsets = array("Q")
        self.received = array("q")
        self.keys = array("q")
        self.first = 0  # index of the first entry that is not forgotten
        self.ahead: set[int] = set()  # indices behind `first` that are forgotten

    def add(self, offset: int, received_at: int, key: int) -> None:
        self.offsets.append(offset)
        self.received.append(received_at)
        self.keys.append(key)

    @property
    def left(self) -> int:
        return len(self.offsets) - self.first - len(self.ahead)

    @property
    def forgotten(self) -> Forgotten:
        before = self.offsets[self.first] if self.first < len(self.offsets) else self.length
        return Forgotten(before, tuple(self.offsets[index] for index in sorted(self.ahead)))

    def forget(self, offset: int) -> int | None:
        """The index of the entry, or None when it was forgotten before. Raises ValueError: no such entry."""
        index = bisect_left(self.offsets, offset)
        if index == len(self.offsets) or self.offsets[index] != offset:
            raise ValueError(f"no entry begins at byte {offset} of {self.file.path}: not of this journal?")
        if index < self.first or index in self.ahead:
            return None
        self.ahead.add(index)
        while self.first in self.ahead:
            self.ahead.remove(self.first)
            self.first += 1
        return index

    def wanted(self, most: int, most_bytes: int) -> Wanted | None:
        """The first `most` entries that are left, of `most_bytes` together, though one is always taken."""
        indices: list[int] = []
        for index in range(self.first, len(self.offsets)):
            if index in self.ahead:
                continue
            if len(indices) == most or (indices and self._end(index) - self.offsets[indices[0]] > most_bytes):
                break
            indices.append(index)
        if not indices:
            return None
        return Wanted(self.file, tuple(self.offsets[index] for index in indices), self._end(indices[-1]))

    def _end(self, index: int) -> int:
        return self.offsets[index + 1] if index + 1 < len(self.offsets) else self.length


class Backlog:
    """All segments, oldest first, and the keys in them or on their way to them."""

    __slots__ = ("_held", "_segments", "depth", "size_bytes")

    def __init__(self, segments: Sequence[Segment] = ()) -> None:
        self._segments = {segment.file.number: segment for segment in segments}
        self._held: dict[int, int] = {}
        self.depth = sum(segment.left for segment in segments)
        self.size_bytes = sum(segment.length for segment in segments)
        for segment in segments:
            for index in range(segment.first, len(segment.offsets)):
                if index not in segment.ahead:
                    self.expect(segment.keys[index])

    def expect(self, key: int) -> None:
        """An entry of this key is on its way to the disk."""
        self._held[key] = self._held.get(key, 0) + 1

    def release(self, key: int) -> None:
        """One entry of this key is gone: forgotten, or never written."""
        left = self._held[key] - 1
        if left:
            self._held[key] = left
        else:
            del self._held[key]

    def holds(self, key: int) -> bool:
        return key in self._held

    def segment(self, file: SegmentFile) -> Segment:
        """The segment of this file, which is the newest when it was not known before."""
        known = self._segments.get(file.number)
        if known is None:
            known = self._segments[file.number] = Segment(file)
        return known

    def add(self, segment: Segment, offset: int, received_at: int, key: int) -> None:
        """An expected entry is on the disk."""
        segment.add(offset, received_at, key)
        self.depth += 1

    def resize(self, segment: Segment, length: int) -> None:
        self.size_bytes += length - segment.length
        segment.length = length

    def forget(self, position: Position) -> bool:
        """Whether it was there; not, when it was forgotten before. Raises ValueError (see Segment.forget)."""
        segment = self._segments.get(position.segment)
        if segment is None or (index := segment.forget(position.offset)) is None:
            return False
        self.release(segment.keys[index])
        self.depth -= 1
        return True

    def has(self, position: Position) -> bool:
        """Whether the entry there is not forgotten."""
        segment = self._segments.get(position.segment)
        if segment is None:
            return False
        index = bisect_left(segment.offsets, position.offset)
        return segment.first <= index < len(segment.offsets) and index not in segment.ahead

    def damage(self, number: int) -> None:
        """Bytes of this segment turned out to be unreadable."""
        if number in self._segments:
            self._segments[number].damaged = True

    def head(self, most: int, most_bytes: int) -> list[Wanted]:
        """Where the oldest entries are, at most so many and so many bytes, at least one if there is any."""
        plan: list[Wanted] = []
        for segment in self._segments.values():
            if most <= 0 or most_bytes <= 0:
                break
            if segment.left and (wanted := segment.wanted(most, most_bytes)) is not None:
                size = wanted.end - wanted.offsets[0]
                if plan and size > most_bytes:
                    break
                plan.append(wanted)
                most -= len(wanted.offsets)
                most_bytes -= size
        return plan

    @property
    def oldest_received_at(self) -> int | None:
        """When the first entry that is left was received."""
        for segment in self._segments.values():
            if segment.left:
                return segment.received[segment.first]
        return None

    def finished(self) -> list[Segment]:
        """Segments whose file is not needed any more; each is named once."""
        done = [s for s in self._segments.values() if s.sealed and not s.left and not s.leaving]
        for segment in done:
            segment.leaving = True
        return done

    def drop(self, number: int) -> None:
        """The file of this finished segment is gone."""
        segment = self._segments.pop(number, None)
        if segment is not None:
            self.size_bytes -= segment.length

    def forgotten(self) -> Mapping[bytes, Forgotten]:
        """What the cursor has to say."""
        return {s.file.marker: s.forgotten for s in self._segments.values() if s.first or s.ahead}
