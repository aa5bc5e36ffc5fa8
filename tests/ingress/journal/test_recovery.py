"""What a crash, a power failure or a failing disk left is found again at the start."""

from __future__ import annotations

import errno
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest
from structlog.testing import capture_logs

from ingress.journal import Journal, JournalUnusable
from ingress.journal.format import HEADER_BYTES
from tests.ingress.journal.entries import (
    RECEIVED_AT,
    crash,
    damaged_files,
    entry,
    everything,
    journal_in,
    numbers,
    segments,
)
from tests.ingress.journal.faulty import Failing

pytestmark = pytest.mark.anyio


async def filled(directory: Path, *which: int, segment_bytes: int = 2**20) -> None:
    """A closed journal that keeps these entries."""
    async with journal_in(directory, segment_bytes=segment_bytes) as journal:
        for number in which:
            await journal.append(entry(number))


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x20
    file.write_bytes(data)


async def test_a_restart_keeps_all_their_order_their_keys_and_their_age(tmp_path: Path) -> None:
    await filled(tmp_path, *range(10), segment_bytes=200)
    await filled(tmp_path, *range(10, 15))
    async with journal_in(tmp_path) as journal:
        assert [kept.entry for kept in await everything(journal)] == [entry(number) for number in range(15)]
        assert (journal.depth, journal.oldest_received_at) == (15, RECEIVED_AT)
        assert journal.holds("twilio.status", "key-7")
        assert journal.size_bytes == sum(file.stat().st_size for file in segments(tmp_path))


async def test_new_entries_come_behind_recovered_ones(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    async with journal_in(tmp_path) as journal:
        await journal.append(entry(2))
        kept = await everything(journal)
        assert numbers(kept) == [1, 2]
        assert kept[0].position < kept[1].position


async def test_nothing_is_appended_to_a_recovered_file(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    before = segments(tmp_path)[0].read_bytes()
    await filled(tmp_path, 2)
    assert segments(tmp_path)[0].read_bytes() == before


async def test_what_was_forgotten_does_not_come_back_after_an_orderly_end(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(6):
            await journal.append(entry(number))
        kept = await everything(journal)
        journal.forget([kept[0], kept[1], kept[4]])
    async with journal_in(tmp_path) as journal:
        assert numbers(await everything(journal)) == [2, 3, 5]
        assert not journal.holds("twilio.status", "key-4")
        journal.forget(await everything(journal))
    async with journal_in(tmp_path) as journal:
        assert (journal.depth, segments(tmp_path)) == (0, [])


@pytest.mark.parametrize(
    "left", [b"", b"00000000 {}", b"rubbish", bytes(50)], ids=["empty", "bad sum", "rubbish", "zeros"]
)
async def test_an_unreadable_cursor_costs_second_copies_and_no_entry(tmp_path: Path, left: bytes) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.append(entry(1))
        await journal.append(entry(2))
        journal.forget(await journal.head(1))
    (tmp_path / "cursor").write_bytes(left)
    with capture_logs() as logs:
        async with journal_in(tmp_path) as journal:
            assert numbers(await everything(journal)) == [1, 2]
    assert "journal.cursor_unreadable" in [line["event"] for line in logs]


async def test_a_cursor_of_files_that_are_gone_hides_nothing_of_new_ones_of_their_name(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(3):
            await journal.append(entry(number))
        journal.forget(await journal.head(2))
    cursor = (tmp_path / "cursor").read_bytes()
    name = segments(tmp_path)[0].name
    segments(tmp_path)[0].unlink()
    await filled(tmp_path, 10, 11, 12)
    assert segments(tmp_path)[0].name == name
    (tmp_path / "cursor").write_bytes(cursor)
    async with journal_in(tmp_path) as journal:
        assert numbers(await everything(journal)) == [10, 11, 12]


async def test_a_torn_tail_is_cut_off_and_logged(tmp_path: Path) -> None:
    await filled(tmp_path, 1, 2)
    file = segments(tmp_path)[0]
    whole = file.stat().st_size
    with file.open("ab") as tail:
        tail.write(file.read_bytes()[HEADER_BYTES : HEADER_BYTES + 30])
    with capture_logs() as logs:
        async with journal_in(tmp_path) as journal:
            assert numbers(await everything(journal)) == [1, 2]
            assert file.stat().st_size == whole
            assert journal.damaged == 0
    assert [(line["event"], line["bytes"]) for line in logs] == [("journal.tail_cut", 30)]


@pytest.mark.parametrize("content", [b"", b"nsjour", bytes(500)], ids=["empty", "half a header", "zeros"])
async def test_a_file_that_never_got_an_entry_is_deleted(tmp_path: Path, content: bytes) -> None:
    await filled(tmp_path, 1)
    (tmp_path / f"{7:020d}.segment").write_bytes(content)
    async with journal_in(tmp_path) as journal:
        assert numbers(await everything(journal)) == [1]
        assert [file.name for file in segments(tmp_path)] == [f"{1:020d}.segment"]


async def test_damage_in_the_middle_is_reported_and_the_rest_is_kept(tmp_path: Path) -> None:
    await filled(tmp_path, *range(5))
    file = segments(tmp_path)[0]
    size = (file.stat().st_size - HEADER_BYTES) // 5
    flip(file, HEADER_BYTES + 2 * size + size // 2)
    with capture_logs() as logs:
        async with journal_in(tmp_path) as journal:
            assert numbers(await everything(journal)) == [0, 1, 3, 4]
            assert journal.damaged == 1
            assert not journal.holds("twilio.status", "key-2")
    assert [(line["event"], line["log_level"], line["begin"]) for line in logs] == [
        ("journal.damaged", "error", HEADER_BYTES + 2 * size)
    ]


async def test_a_damaged_file_is_put_aside_once_its_rest_is_forgotten_and_never_deleted(
    tmp_path: Path,
) -> None:
    await filled(tmp_path, *range(3))
    file = segments(tmp_path)[0]
    flip(file, file.stat().st_size - 1)
    content = file.read_bytes()
    async with journal_in(tmp_path) as journal:
        journal.forget(await everything(journal))
    assert segments(tmp_path) == []
    assert file.with_suffix(".damaged").read_bytes() == content
    with capture_logs() as logs:
        await filled(tmp_path, 9)
        async with journal_in(tmp_path) as journal:
            assert numbers(await everything(journal)) == [9]
    assert file.with_suffix(".damaged").read_bytes() == content
    assert "journal.damaged_file_kept" in [line["event"] for line in logs]


async def test_a_file_in_which_nothing_is_readable_is_put_aside_at_once(tmp_path: Path) -> None:
    file = tmp_path / f"{3:020d}.segment"
    file.write_bytes(b"not a segment at all, but somebody may want to see it")
    with capture_logs() as logs:
        async with journal_in(tmp_path) as journal:
            assert (journal.depth, journal.damaged) == (0, 1)
            assert file.with_suffix(".damaged").exists()
            await journal.append(entry(1))
            assert numbers(await everything(journal)) == [1]
    assert [line["event"] for line in logs] == ["journal.damaged", "journal.put_aside"]


async def test_a_cursor_is_right_about_a_file_that_was_damaged_after_it_was_written(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(6):
            await journal.append(entry(number))
        journal.forget(await journal.head(3))
    flip(segments(tmp_path)[0], HEADER_BYTES + 30)
    with capture_logs():
        async with journal_in(tmp_path) as journal:
            assert numbers(await everything(journal)) == [3, 4, 5]


async def test_an_entry_that_goes_bad_while_it_waits_is_given_up_with_a_word_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    with capture_logs() as logs:
        async with journal_in(tmp_path) as journal:
            for number in range(3):
                await journal.append(entry(number))
            flip(segments(tmp_path)[0], HEADER_BYTES + 30)
            assert numbers(await journal.head(1)) == [1]
            assert (journal.depth, journal.damaged) == (2, 1)
            assert not journal.holds("twilio.status", "key-0")
            journal.forget(await everything(journal))
    assert [line["event"] for line in logs] == ["journal.damaged", "journal.put_aside"]
    assert damaged_files(tmp_path) == [f"{1:020d}.damaged"]


async def test_a_file_that_somebody_deleted_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with journal_in(tmp_path, segment_bytes=70) as journal:
            for number in range(3):
                await journal.append(entry(number))
            segments(tmp_path)[0].unlink()
            rest = numbers(await everything(journal))
            assert rest == [1, 2]
            assert (journal.depth, journal.damaged) == (2, 1)
    assert {line["why"] for line in logs if line["event"] == "journal.damaged"} == {"the file is gone"}


async def test_files_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    head = pack(">8sH8s", b"nsjournl", 9, b"\1" * 8)
    file = tmp_path / f"{1:020d}.segment"
    file.write_bytes(head + pack(">I", crc32(head)))
    with pytest.raises(JournalUnusable, match=r"version 9.*move the file away"):
        Journal.open(tmp_path, most_bytes=1000)
    assert file.exists()
    file.unlink()
    async with journal_in(tmp_path):
        pass  # the lock was given back


async def test_files_of_others_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    others = [tmp_path / "README", tmp_path / "backup.segment"]
    for file in others:
        file.write_text("mine")
    await filled(tmp_path, 1)
    assert [file.read_text() for file in others] == ["mine", "mine"]


async def test_a_crash_before_the_deletion_of_finished_files_gives_nothing_out_twice(tmp_path: Path) -> None:
    disk = Failing()
    disk.errors = {"unlink": errno.EIO}
    with capture_logs():
        async with journal_in(tmp_path, segment_bytes=70, disk=disk) as journal:
            for number in range(4):
                await journal.append(entry(number))
            journal.forget(await journal.head(3))
    assert len(segments(tmp_path)) == 4
    async with journal_in(tmp_path) as journal:
        assert len(segments(tmp_path)) == 1
        assert numbers(await everything(journal)) == [3]


async def test_a_journal_can_be_opened_again_at_once_after_a_crash(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.append(entry(1))
        crash(journal)
        async with journal_in(tmp_path) as again:
            assert numbers(await everything(again)) == [1]
