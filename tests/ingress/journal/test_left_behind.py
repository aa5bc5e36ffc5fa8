"""The journal of a worker that is no more is found by another, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingress.journal import JournalLocked, JournalUnusable, left_behind
from tests.ingress.journal.entries import crash, entry, everything, journal_in, numbers

pytestmark = pytest.mark.anyio


async def test_a_crashed_workers_journal_is_found_and_drained(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "worker-3") as journal:
        await journal.append(entry(1))
        crash(journal)
    (found,) = left_behind(tmp_path, in_use={"worker-0"})
    async with journal_in(found) as adopted:
        assert numbers(await everything(adopted)) == [1]
        adopted.forget(await everything(adopted))
    assert left_behind(tmp_path, in_use={"worker-0"}) == []


async def test_a_journal_that_somebody_has_open_is_not_left_behind(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "worker-3") as journal:
        await journal.append(entry(1))
        assert left_behind(tmp_path, in_use={"worker-0"}) == []
    assert left_behind(tmp_path, in_use={"worker-0"}) == [tmp_path / "worker-3"]


async def test_journals_that_are_in_use_are_never_touched(tmp_path: Path) -> None:
    for name in ("worker-0", "worker-1", "worker-2"):
        async with journal_in(tmp_path / name) as journal:
            await journal.append(entry(1))
    assert left_behind(tmp_path, in_use={"worker-0", "worker-1"}) == [tmp_path / "worker-2"]


async def test_empty_journals_and_what_is_no_journal_are_not_left_behind(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "worker-1"):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "file").touch()
    assert left_behind(tmp_path, in_use=set()) == []


async def test_looking_takes_no_lock_that_stays(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "worker-1") as journal:
        await journal.append(entry(1))
    assert left_behind(tmp_path, in_use=set()) == left_behind(tmp_path, in_use=set())
    async with journal_in(tmp_path / "worker-1"):
        with pytest.raises(JournalLocked):
            async with journal_in(tmp_path / "worker-1"):
                pass


async def test_a_root_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "nowhere", in_use=set()) == []


async def test_a_lock_that_cannot_be_taken_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "worker-1" / "lock").mkdir(parents=True)
    assert left_behind(tmp_path, in_use=set()) == []
    with pytest.raises(JournalUnusable, match="lock"):
        async with journal_in(tmp_path / "worker-1"):
            pass
