"""A disk that fails costs the entries that it did not take, and no other; that it works again is noticed."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingress.journal import Journal, JournalBroken, JournalFull, JournalUnusable
from tests.ingress.journal.entries import crash, entry, everything, journal_in, numbers, segments
from tests.ingress.journal.faulty import Failing
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, 5, what)


@pytest.mark.parametrize("operation", ["create", "write", "sync", "sync_directory"])
@pytest.mark.parametrize("first", [True, False], ids=["first segment", "later segment"])
async def test_an_entry_that_the_disk_did_not_take_fails_and_the_next_is_kept(
    tmp_path: Path, operation: str, first: bool
) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk, segment_bytes=70) as journal:
        kept = [] if first else [0, 1]
        for number in kept:
            await journal.append(entry(number))
        disk.errors = {operation: errno.EIO}
        with pytest.raises(JournalBroken, match=r"Input/output error.*look after the disk"):
            await journal.append(entry(2))
        assert not journal.holds("twilio.status", "key-2")
        assert "Input/output error" in str(journal.trouble)
        disk.errors = {}
        await journal.append(entry(3))
        assert journal.trouble is None
        assert numbers(await everything(journal)) == [*kept, 3]
        assert journal.size_bytes == sum(file.stat().st_size for file in segments(tmp_path))


async def test_a_file_whose_sync_failed_is_never_written_to_again(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        disk.errors = {"sync": errno.EIO}
        for number in (2, 3):
            with pytest.raises(JournalBroken):
                await journal.append(entry(number))
        disk.errors = {}
        await asyncio.gather(*(journal.append(entry(number)) for number in range(4, 10)))
        assert numbers(await everything(journal)) == [1, *range(4, 10)]
    assert not disk.written_after_failed_sync


async def test_what_was_confirmed_before_a_failed_sync_is_there_after_a_crash(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        disk.errors = {"sync": errno.EIO}
        with pytest.raises(JournalBroken):
            await journal.append(entry(2))
        crash(journal)
        async with journal_in(tmp_path) as again:
            # Whether the second is on the disk nobody knows; nobody was told that it is.
            assert numbers(await everything(again)) in ([1], [1, 2])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk full", "over quota"])
@pytest.mark.parametrize("operation", ["write", "sync"])
async def test_a_full_disk_is_the_journal_being_full(tmp_path: Path, operation: str, number: int) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        disk.errors = {operation: number}
        with pytest.raises(JournalFull, match="free disk space"):
            await journal.append(entry(2))
        disk.errors = {}
        await journal.append(entry(3))
        assert numbers(await everything(journal)) == [1, 3]


async def test_a_half_written_group_is_cut_off_at_once(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        length = segments(tmp_path)[0].stat().st_size
        disk.errors = {"write": errno.ENOSPC}
        with pytest.raises(JournalFull):
            await journal.append(entry(2))
        assert [file.stat().st_size for file in segments(tmp_path)] == [length]


async def test_a_half_written_group_that_could_not_be_cut_off_is_cut_off_at_the_next_start(
    tmp_path: Path,
) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        length = segments(tmp_path)[0].stat().st_size
        disk.errors = {"write": errno.EIO, "truncate": errno.EIO}
        with pytest.raises(JournalBroken):
            await journal.append(entry(2))
        disk.errors = {}
        await journal.append(entry(3))
        assert numbers(await everything(journal)) == [1, 3]
        crash(journal)
        async with journal_in(tmp_path) as again:
            assert segments(tmp_path)[0].stat().st_size == length
            assert numbers(await everything(again)) == [1, 3]
            assert again.damaged == 0


async def test_a_failing_disk_leaves_no_empty_files_behind(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        disk.errors = {"sync": errno.EIO}
        for number in range(5):
            with pytest.raises(JournalBroken):
                await journal.append(entry(number))
        await until(lambda: segments(tmp_path) == [], "no file")


async def test_trouble_goes_away_without_an_append_once_the_disk_works(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk, probe_s=0.01) as journal:
        disk.errors = {"write": errno.ENOSPC}
        with pytest.raises(JournalFull):
            await journal.append(entry(1))
        assert "No space left" in str(journal.trouble)
        disk.errors = {}
        await until(lambda: journal.trouble is None, "the end of the trouble")
        assert (journal.depth, journal.size_bytes) == (0, 0)
        await until(lambda: segments(tmp_path) == [], "no file of the probe")


async def test_draining_does_not_keep_a_failed_disk_from_being_tried_again(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk, probe_s=0.01) as journal:
        await asyncio.gather(*(journal.append(entry(number)) for number in range(500)))
        disk.errors = {"create": errno.ENOSPC, "write": errno.ENOSPC}
        with pytest.raises(JournalFull):
            await journal.append(entry(999))
        disk.errors = {}
        while journal.trouble is not None:
            journal.forget(await journal.head(1))
        assert journal.depth > 0


async def test_an_outage_of_the_disk_is_one_line_of_the_log(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        with capture_logs() as logs:
            disk.errors = {"sync": errno.EIO}
            for number in range(3):
                with pytest.raises(JournalBroken):
                    await journal.append(entry(number))
            disk.errors = {}
            await journal.append(entry(3))
    assert [line["event"] for line in logs] == ["journal.write_failed", "journal.works_again"]


async def test_when_the_disk_cannot_be_read_nothing_is_given_up(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk) as journal:
        await journal.append(entry(1))
        disk.errors = {"read": errno.EIO}
        with pytest.raises(JournalBroken, match="cannot be read"):
            await journal.head(1)
        disk.errors = {}
        assert numbers(await journal.head(1)) == [1]


@pytest.mark.parametrize("operation", ["replace", "unlink"])
async def test_forgetting_goes_on_when_the_disk_refuses_it_and_the_log_says_so(
    tmp_path: Path, operation: str
) -> None:
    disk = Failing()
    with capture_logs() as logs:
        async with journal_in(tmp_path, disk=disk, segment_bytes=70) as journal:
            for number in range(4):
                await journal.append(entry(number))
            disk.errors = {operation: errno.EIO}
            journal.forget(await journal.head(3))
            assert numbers(await everything(journal)) == [3]
            await journal.append(entry(4))
    assert {line["event"] for line in logs} == {
        "replace": {"journal.cursor_not_written"},
        "unlink": {"journal.not_deleted"},
    }[operation]


async def test_a_file_that_could_not_be_closed_costs_nothing(tmp_path: Path) -> None:
    disk = Failing()
    async with journal_in(tmp_path, disk=disk, segment_bytes=70) as journal:
        disk.errors = {"close": errno.EIO}
        for number in range(4):
            await journal.append(entry(number))
        assert numbers(await everything(journal)) == [0, 1, 2, 3]


async def test_a_defect_while_writing_fails_the_entry_instead_of_leaving_it_waiting(tmp_path: Path) -> None:
    class Defect(Failing):
        def sync(self, fd: int) -> None:
            if self.errors:
                raise RuntimeError("a defect")
            super().sync(fd)

    disk = Defect()
    async with journal_in(tmp_path, disk=disk) as journal:
        disk.errors = {"sync": 1}
        with pytest.raises(JournalBroken, match="RuntimeError"):
            await journal.append(entry(1))
        disk.errors = {}
        await journal.append(entry(2))
        assert numbers(await everything(journal)) == [2]


async def test_a_journal_that_cannot_be_locked_or_read_says_where_and_what_to_do(tmp_path: Path) -> None:
    disk = Failing()
    disk.errors = {"lock": errno.EACCES}
    with pytest.raises(JournalUnusable, match=rf"{tmp_path}.*Permission denied.*local disk"):
        Journal.open(tmp_path, most_bytes=1000, disk=disk)
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnusable, match=r"file.*local disk"):
        Journal.open(tmp_path / "file" / "below", most_bytes=1000)
