"""What has been read and is not yet on its way to ClickHouse, as ranges.

Guarantees: a range is records of one partition, in order, without a gap of ours; one that a note says the end
of ends there, and is handed out only when it is complete. Leaves to the sink: when it is full, and the rest.
"""

from collections.abc import Iterable, Sequence

from sinks.analytics.ranges import Partition, Range


class Batch:
    """Not safe to share between threads."""

    def __init__(self) -> None:
        self._ranges: dict[Partition, list[Range]] = {}
        self._records = 0
        self._size = 0

    def __len__(self) -> int:
        """Records read."""
        return self._records

    @property
    def size(self) -> int:
        """Bytes of all keys and values."""
        return self._size

    def expect(self, partition: Partition, cut: int) -> None:
        """The next records of this partition, up to the offset `cut`, are a range of their own."""
        self._ranges[partition] = [Range(*partition, cut=cut)]

    def add(self, partition: Partition, offset: int, key: bytes | None, value: bytes | None) -> None:
        ranges = self._ranges.get(partition)
        if ranges is None:
            ranges = self._ranges[partition] = [Range(*partition)]
        last = ranges[-1]
        if last.cut is not None and offset >= last.cut:
            last.complete = True
            if not last.offsets:
                # All of it is gone: whoever wrote the note has landed it, or nobody can any more.
                ranges.pop()
            last = Range(*partition)
            ranges.append(last)
        if last.offsets and offset < last.end:
            # Fetched again from the last commit: what was read before is in what comes now.
            ranges[-1] = last = Range(*partition, cut=last.cut)
            self._count()
        last.add(offset, key, value)
        self._records += 1
        self._size += len(key or b"") + len(value or b"")

    def extend(
        self,
        partition: Partition,
        offsets: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
    ) -> None:
        """Add many; the same as one by one, and at once where nothing can be special about any of them."""
        ranges = self._ranges.setdefault(partition, [Range(*partition)])
        last = ranges[-1]
        first = offsets[0]
        gapless = offsets == list(range(first, first + len(offsets)))
        if last.cut is None and gapless and (not last.offsets or first >= last.end):
            last.offsets += offsets
            last.keys += keys
            last.values += values
            self._records += len(offsets)
            self._size += sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
            return
        for offset, key, value in zip(offsets, keys, values, strict=True):
            self.add(partition, offset, key, value)

    def waiting(self) -> dict[Partition, int]:
        """The cuts of the ranges that are not complete."""
        return {
            partition: ranges[0].cut
            for partition, ranges in self._ranges.items()
            if ranges[0].cut is not None and not ranges[0].complete
        }

    def no_more(self, partition: Partition) -> None:
        """Nothing before the cut of this partition's range exists any more."""
        ranges = self._ranges[partition]
        ranges[0].complete = True
        if not ranges[0].offsets:
            del self._ranges[partition]

    def take(self) -> list[Range]:
        """The ready ranges, one of a partition at most, which are not part of the batch from here on."""
        taken = []
        for partition, ranges in list(self._ranges.items()):
            if ranges[0].ready:
                taken.append(ranges.pop(0))
                if not ranges:
                    del self._ranges[partition]
        self._count()
        return taken

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget what was read of these partitions: their next owner reads it again from the last commit."""
        for partition in partitions:
            self._ranges.pop(partition, None)
        self._count()

    def _count(self) -> None:
        kept = [kept for ranges in self._ranges.values() for kept in ranges]
        self._records = sum(map(len, kept))
        self._size = sum(
            len(data) for held in kept for data in (*held.keys, *held.values) if data is not None
        )
