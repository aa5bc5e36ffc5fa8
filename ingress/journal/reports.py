"""What the event loop and the writer's thread say to each other."""

import asyncio

import msgspec

from ingress.journal.backlog import SegmentFile
from ingress.journal.errors import JournalError
from ingress.journal.format import FRAME_BYTES


class Job(msgspec.Struct, frozen=True, eq=False):
    """Write this entry. `key` is the hash of its topic and key; only the loop touches `settled`."""

    body: bytes
    received_at: int
    key: int
    settled: "asyncio.Future[None]"

    @property
    def size_bytes(self) -> int:
        return FRAME_BYTES + len(self.body)


class Written(msgspec.Struct, frozen=True):
    """A group is on the medium: each job's entry begins at its offset; the file is now `length` long."""

    file: SegmentFile
    length: int
    jobs: list[Job]
    offsets: list[int]


class Failed(msgspec.Struct, frozen=True):
    """None of the group is kept."""

    jobs: list[Job]
    failure: JournalError


class Sealed(msgspec.Struct, frozen=True):
    """Nothing will be appended to this file any more; it takes `length` bytes."""

    file: SegmentFile
    length: int


class Works(msgspec.Struct, frozen=True):
    """The disk takes entries again; no entry was at stake."""


class Swept(msgspec.Struct, frozen=True):
    """These segments' files are gone or put aside."""

    numbers: list[int]


Report = Written | Failed | Sealed | Works | Swept
