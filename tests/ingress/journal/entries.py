"""Entries and journals for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from ingress.journal import Entry, Journal, Kept
from ingress.journal.disk import Disk

MIB = 2**20
RECEIVED_AT = 1_790_000_000_000


def entry(number: int, *, key: str | None = None, size: int = 10) -> Entry:
    """The entry of this number: it can be told from every other by its value and its time."""
    value = b"%d:" % number
    return Entry("twilio.status", key or f"key-{number}", value.ljust(size, b"."), RECEIVED_AT + number)


def number_of(kept: Kept) -> int:
    return int(kept.entry.value.split(b":")[0])


def numbers(kept: Iterable[Kept]) -> list[int]:
    return [number_of(one) for one in kept]


@asynccontextmanager
async def journal_in(
    directory: Path,
    *,
    most_bytes: int = MIB,
    segment_bytes: int = 4 * MIB,
    disk: Disk | None = None,
    probe_s: float = 60.0,
) -> AsyncIterator[Journal]:
    """A started journal, closed at the end."""
    journal = Journal.open(
        directory, most_bytes=most_bytes, segment_bytes=segment_bytes, disk=disk, probe_s=probe_s
    )
    journal.start()
    try:
        yield journal
    finally:
        await journal.close()


async def everything(journal: Journal) -> list[Kept]:
    """All that is kept; nothing is forgotten."""
    return await journal.head(1_000_000)


def crash(journal: Journal) -> None:
    """What kill -9 does, as far as the next `open` can tell: the lock is gone, nothing else is done."""
    os.close(journal._lock)
    journal._lock = os.open(os.devnull, os.O_RDONLY)


def damaged_files(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.glob("*.damaged"))


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))
