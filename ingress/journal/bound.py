"""How much the journal may keep. Pure: sizes in, a reason or None out.

Guarantees: what is let in fits, on the disk and in memory; a reason says what is used up and what to do.
"""

from ingress.journal.format import HEADER_BYTES

# What may wait in memory for the disk; more means that the disk hangs.
MOST_QUEUED_BYTES = 64 * 2**20


class Bound:
    """`segment_bytes`: when to begin the next segment. `queued_bytes`: let in, and not yet on the disk."""

    __slots__ = ("_most_bytes", "_refused_bytes", "queued_bytes", "segment_bytes")

    def __init__(self, most_bytes: int, segment_bytes: int) -> None:
        if most_bytes <= 0 or segment_bytes <= 0:
            raise ValueError(f"a journal of {most_bytes} bytes in segments of {segment_bytes} holds nothing")
        self._most_bytes = most_bytes
        # A segment goes only as a whole: a few must fit, or a drained one could fill the journal.
        self.segment_bytes = max(1, min(segment_bytes, most_bytes // 4))
        self.queued_bytes = 0
        self._refused_bytes = 0

    def let_in(self, size: int, kept_bytes: int) -> str | None:
        """None: so many more bytes may be queued, and are counted; else why not."""
        why_not = self._why_not(size, kept_bytes)
        if why_not is None:
            self.queued_bytes += size
        elif size + self.segment_bytes <= self._most_bytes:  # one that never fits says nothing of the others
            self._refused_bytes = size
        return why_not

    def trouble(self, kept_bytes: int) -> str | None:
        """Why the last one that was refused would be refused again."""
        return self._why_not(self._refused_bytes, kept_bytes) if self._refused_bytes else None

    def _why_not(self, size: int, kept_bytes: int) -> str | None:
        taken = kept_bytes + self.queued_bytes
        # Two segments in a row take more than one may: so many may what is queued begin, at worst.
        begun = 1 + 2 * (self.queued_bytes + size) // self.segment_bytes
        if taken + size + begun * HEADER_BYTES > self._most_bytes:
            return f"{taken} bytes are kept, {self._most_bytes} allowed; bring the broker back, or allow more"
        if self.queued_bytes + size > MOST_QUEUED_BYTES:
            return f"{self.queued_bytes} bytes wait for the disk; look whether it hangs"
        return None
