"""A process that lives to be killed: appends without end and says what was confirmed, one line each.

`python -m tests.ingress.journal.appending DIRECTORY FIRST DRAIN`. Prints `kept N` after an append was
confirmed and, when DRAIN is not 0, `gone N` before an entry is forgotten. Ends by itself after 20 s.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from ingress.journal import Journal
from tests.ingress.journal.entries import entry, numbers

AT_ONCE = 8
SEGMENT_BYTES = 1000  # some twelve entries: one kill in a few meets a rotation
LONGEST_S = 20


def say(word: str, which: list[int]) -> None:
    os.write(1, "".join(f"{word} {number}\n" for number in which).encode())


async def work(directory: Path, first: int, drain: bool) -> None:
    journal = Journal.open(directory, most_bytes=2**24, segment_bytes=SEGMENT_BYTES)
    journal.start()
    for number in itertools.count(first, AT_ONCE):
        group = list(range(number, number + AT_ONCE))
        appends = [journal.append(entry(one)) for one in group]
        for one, appended in zip(group, appends, strict=True):
            await appended
            say("kept", [one])
        if drain:
            head = await journal.head(AT_ONCE - 1)
            say("gone", numbers(head))
            journal.forget(head)


async def main() -> None:
    directory, first, drain = sys.argv[1:]
    async with asyncio.timeout(LONGEST_S):
        await work(Path(directory), int(first), drain != "0")


asyncio.run(main())
