"""A range: the records of one partition that go in together, and the note that lets anybody repeat it.

Guarantees: pure. A note written with the offset commit says where the range that begins there ends; who reads
the note puts exactly the same records into the range again, so that the block made of them is the same one.
Leaves to `batch` what goes into which range, to the sink when the note is written.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sinks.analytics.rows import Place

Partition: TypeAlias = tuple[str, int]

_NOTE = re.compile(r"range-end=(\d{1,19})")


class Kept(NamedTuple):
    """A Kafka record as it was, for the dead letter it may become."""

    place: Place
    key: bytes | None
    value: bytes | None


class Given(NamedTuple):
    """A record given up, and why."""

    record: Kept
    reason: str
    detail: str


@dataclass(slots=True)
class Range:
    """Records of one partition in their order. `cut`, when there is one, is where it must end."""

    topic: str
    partition: int
    cut: int | None = None
    offsets: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    complete: bool = False
    """With a cut: nothing before it is still to come."""

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def of(self) -> Partition:
        return self.topic, self.partition

    @property
    def start(self) -> int:
        return self.offsets[0]

    @property
    def end(self) -> int:
        """One past the last record: what to commit."""
        return self.offsets[-1] + 1

    @property
    def ready(self) -> bool:
        return bool(self.offsets) and (self.cut is None or self.complete)

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        self.offsets.append(offset)
        self.keys.append(key)
        self.values.append(value)
        if self.cut is not None and offset + 1 >= self.cut:
            self.complete = True

    def record(self, number: int) -> Kept:
        """The record of this number in the range, counted from 0."""
        place = Place(self.topic, self.partition, self.offsets[number])
        return Kept(place, self.keys[number], self.values[number])

    def token(self, without: Collection[int]) -> str:
        """Names the block made of these records but for those that were given up.

        By place and by content, for a topic made anew counts from 0 again, and a record that was unreadable
        once and is not any more makes another block.
        """
        digest = hashlib.blake2b(digest_size=16)
        for number, value in enumerate(self.values):
            if number not in without and value is not None:
                digest.update(value)
        digest.update(repr(sorted(without)).encode())
        return f"{self.topic}:{self.partition}:{self.start}-{self.end}:{digest.hexdigest()}"


def note_of(intended: Range) -> str:
    """What to write down with the offset where the range begins."""
    return f"range-end={intended.end}"


def cut_in(note: str | None, committed: int) -> int | None:
    """Where the range that begins at `committed` was to end, when the note of that commit says so."""
    match = _NOTE.fullmatch(note or "")
    if match is None or int(match[1]) <= committed:
        return None
    return int(match[1])
