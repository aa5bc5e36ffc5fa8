"""A process with a small disk of its own, which it fills, drains and fills again.

`python -m tests.ingress.journal.filling MOUNT_POINT`, in a mount namespace of its own: the disk is a tmpfs
that goes with the process. Prints `done` when everything was as it has to be; ends by itself.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path

from ingress.journal import Journal, JournalFull
from tests.ingress.journal.entries import entry, everything, numbers, segments
from tests.waiting import wait_until

DISK = "size=512k"
LONGEST_S = 20


async def fill(journal: Journal, first: int) -> list[int]:
    """Append until the disk is full; what was confirmed."""
    for number in range(first, first + 10_000):
        (failed,) = await asyncio.gather(journal.append(entry(number, size=3000)), return_exceptions=True)
        if failed is not None:
            assert isinstance(failed, JournalFull), failed
            assert "No space left" in str(failed), failed
            return list(range(first, number))
    raise AssertionError("the disk never was full")


async def work(directory: Path) -> None:
    # Larger segments than the disk, too: one that holds nothing any more must not keep the disk full.
    for segment_bytes in (20_000, 4 * 2**20):
        journal = Journal.open(directory, most_bytes=2**30, segment_bytes=segment_bytes, probe_s=0.01)
        journal.start()
        confirmed = await fill(journal, 0)
        assert len(confirmed) > 100
        assert "No space left" in str(journal.trouble)
        assert numbers(await everything(journal)) == confirmed

        # A small one may still fit, or not; none is lost by trying.
        extra = await asyncio.gather(
            *(journal.append(entry(10_000 + number)) for number in range(50)), return_exceptions=True
        )
        confirmed += [10_000 + number for number, failed in enumerate(extra) if failed is None]
        await journal.close()

        journal = Journal.open(directory, most_bytes=2**30, segment_bytes=segment_bytes, probe_s=0.01)
        journal.start()
        kept = await everything(journal)
        assert numbers(kept) == confirmed, (numbers(kept), confirmed)
        assert journal.damaged == 0
        before = await fill(journal, 20_000)
        assert "No space left" in str(journal.trouble)
        journal.forget(kept)
        await asyncio.to_thread(wait_until, partial(works, journal), 5, "room")
        after = await fill(journal, 30_000)
        assert len(after) > 100
        kept = await everything(journal)
        assert [number for number in numbers(kept) if number < 40_000] == before + after
        journal.forget(kept)
        await journal.close()
        assert segments(directory) == []


def works(journal: Journal) -> bool:
    return journal.trouble is None


def main() -> None:
    mount_point = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "none", str(mount_point)], check=True)
    assert mount_point.is_mount()
    asyncio.run(asyncio.wait_for(work(mount_point / "journal"), LONGEST_S))
    print("done")


main()
