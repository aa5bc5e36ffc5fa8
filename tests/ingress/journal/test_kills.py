"""kill -9 at any moment: what was confirmed is there, in order, and what was forgotten long ago is not."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ingress.journal import Journal, JournalLocked
from tests.ingress.journal.entries import everything, journal_in, numbers

ROUNDS = 6
MOST_BYTES = 2**24


def appending(directory: Path, first: int, *, drain: bool = False) -> subprocess.Popen[str]:
    arguments = [str(directory), str(first), str(int(drain))]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ingress.journal.appending", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(directory: Path, first: int, *, after_lines: int, drain: bool = False) -> list[str]:
    """What a child said until it was killed, which is some time after it said so many lines."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.ingress.journal.appending",
            str(directory),
            str(first),
            str(int(drain)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            if len(said) == after_lines:
                child.kill()
    assert len(said) >= after_lines
    # The kill may cut the last line.
    return [line.strip() for line in said if line.endswith("\n")]


def named(said: list[str], word: str) -> list[int]:
    return [int(line.split()[1]) for line in said if line.startswith(word)]


@pytest.mark.anyio
async def test_everything_that_was_confirmed_is_there_in_order_however_often_it_is_killed(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    confirmed: list[int] = []
    first = 0
    for _ in range(ROUNDS):
        confirmed += named(killed(tmp_path, first, after_lines=chance.randint(1, 150)), "kept")
        async with journal_in(tmp_path, most_bytes=MOST_BYTES) as journal:
            found = numbers(await everything(journal))
            assert found == sorted(set(found))
            assert set(confirmed) <= set(found)
            assert journal.damaged == 0
            first = found[-1] + 1
    assert len(confirmed) > ROUNDS


@pytest.mark.anyio
async def test_a_kill_while_draining_loses_nothing_and_repeats_only_what_was_just_forgotten(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    must: set[int] = set()
    first = 0
    for _ in range(ROUNDS):
        said = killed(tmp_path, first, after_lines=chance.randint(50, 300), drain=True)
        kept, gone = named(said, "kept"), named(said, "gone")
        must = (must | set(kept)) - set(gone)
        async with journal_in(tmp_path, most_bytes=MOST_BYTES) as journal:
            found = numbers(await everything(journal))
            assert found == sorted(set(found))
            assert must <= set(found)
            # The cursor is a few groups behind at most.
            assert len(set(found) & set(gone)) < 100
            first = max(found[-1], *kept) + 1


def test_the_directory_is_locked_exactly_as_long_as_the_other_process_lives(tmp_path: Path) -> None:
    said = []
    with appending(tmp_path, 0) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            if len(said) == 1:
                with pytest.raises(JournalLocked):
                    Journal.open(tmp_path, most_bytes=MOST_BYTES)
                child.kill()
    journal = Journal.open(tmp_path, most_bytes=MOST_BYTES)
    assert journal.depth > 0
    asyncio.run(journal.close())
