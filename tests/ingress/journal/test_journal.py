"""What is appended is kept, in order, until it is forgotten; bounded, visible, and never in the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingress.journal import Entry, Journal, JournalBroken, JournalFull, JournalLocked, Kept, Position
from ingress.journal.disk import Disk
from ingress.journal.format import FRAME_BYTES, HEADER_BYTES, encode
from tests.ingress.journal.entries import (
    RECEIVED_AT,
    entry,
    everything,
    journal_in,
    numbers,
    segments,
)
from tests.ingress.journal.faulty import Slow
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio


async def append(journal: Journal, *entries: Entry) -> None:
    await asyncio.gather(*(journal.append(one) for one in entries))


async def outcome(appended: asyncio.Future[None]) -> BaseException | None:
    """Why it failed; None when it did not."""
    (failed,) = await asyncio.gather(appended, return_exceptions=True)
    return failed


async def swept(directory: Path, count: int) -> None:
    """Until so many segment files are left."""
    await asyncio.to_thread(wait_until, lambda: len(segments(directory)) == count, 5, f"{count} segments")


async def test_entries_come_out_as_they_went_in(tmp_path: Path) -> None:
    written = [entry(number, size=number * 7) for number in range(50)]
    async with journal_in(tmp_path) as journal:
        await append(journal, *written)
        assert [kept.entry for kept in await everything(journal)] == written


async def test_head_gives_at_most_what_was_asked_for_and_forgets_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=200) as journal:
        await append(journal, *map(entry, range(10)))
        assert numbers(await journal.head(4)) == [0, 1, 2, 3]
        assert numbers(await journal.head(4)) == [0, 1, 2, 3]
        assert await journal.head(0) == []


async def test_positions_are_ordered_as_the_appends_were(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=200) as journal:
        await append(journal, *map(entry, range(20)))
        positions = [kept.position for kept in await everything(journal)]
        assert positions == sorted(positions)
        assert len({position.segment for position in positions}) > 3


async def test_large_entries_come_out_a_few_at_a_time_but_always_at_least_one(tmp_path: Path) -> None:
    size = 3 * 2**20
    async with journal_in(tmp_path, most_bytes=2**26) as journal:
        await append(journal, *(entry(number, size=size) for number in range(3)))
        assert numbers(await journal.head(10)) == [0]


async def test_what_is_forgotten_does_not_come_out_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=200) as journal:
        await append(journal, *map(entry, range(10)))
        kept = await everything(journal)
        journal.forget(kept[:3])
        journal.forget([kept[7], kept[5]])
        assert numbers(await everything(journal)) == [3, 4, 6, 8, 9]


async def test_forgetting_twice_is_forgetting_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await append(journal, *(entry(number, key="same") for number in range(3)))
        kept = await everything(journal)
        journal.forget(kept[:1])
        journal.forget([kept[0], kept[0]])
        assert journal.depth == 2
        assert journal.holds("twilio.status", "same")


async def test_a_position_of_another_journal_is_refused(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await append(journal, entry(1))
        with pytest.raises(ValueError, match="byte 23"):
            journal.forget([Kept(Position(1, 23), entry(1))])
        assert journal.depth == 1


async def test_a_key_is_held_from_the_append_until_its_last_entry_is_forgotten(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        assert not journal.holds("t", "k")
        first = journal.append(Entry("t", "k", b"1", 1))
        assert journal.holds("t", "k")
        await first
        await journal.append(Entry("t", "k", b"2", 2))
        one, other = await everything(journal)
        journal.forget([one])
        assert journal.holds("t", "k")
        journal.forget([other])
        assert not journal.holds("t", "k")


async def test_a_key_is_held_for_its_topic_only(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.append(Entry("t", "k", b"1", 1))
        assert not journal.holds("other", "k")


async def test_depth_age_and_size_are_visible_at_any_time(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        assert (journal.depth, journal.oldest_received_at, journal.size_bytes) == (0, None, 0)
        await append(journal, entry(1), entry(2))
        assert (journal.depth, journal.oldest_received_at) == (2, RECEIVED_AT + 1)
        assert journal.size_bytes == segments(tmp_path)[0].stat().st_size
        journal.forget(await journal.head(1))
        assert (journal.depth, journal.oldest_received_at) == (1, RECEIVED_AT + 2)
        journal.forget(await journal.head(1))
        assert (journal.depth, journal.oldest_received_at) == (0, None)


async def test_a_segment_is_deleted_when_all_in_it_is_forgotten(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=200) as journal:
        await append(journal, *map(entry, range(20)))
        before = len(segments(tmp_path))
        kept = await everything(journal)
        in_second = [one for one in kept if one.position.segment == kept[0].position.segment + 1]
        journal.forget(in_second[1:])
        journal.forget(in_second[:1])
        await swept(tmp_path, before - 1)
        journal.forget(kept)
        await swept(tmp_path, 1)  # the one that is being appended to
        await journal.append(entry(99))
        assert numbers(await everything(journal)) == [99]


async def test_a_segment_that_was_forgotten_while_it_was_appended_to_is_deleted_when_the_next_begins(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path, segment_bytes=70) as journal:
        await journal.append(entry(0))
        journal.forget(await everything(journal))
        await journal.append(entry(1))
        await swept(tmp_path, 1)
        assert numbers(await everything(journal)) == [1]


async def test_what_is_forgotten_while_it_is_read_is_not_given_out(tmp_path: Path) -> None:
    with Slow("read") as disk:
        async with journal_in(tmp_path, disk=disk) as journal:
            await append(journal, *map(entry, range(3)))
            reading = asyncio.create_task(journal.head(3))
            await asyncio.to_thread(disk.reached.wait, 5)
            journal.forget([Kept(Position(1, HEADER_BYTES), entry(0))])
            disk.go_on()
            assert numbers(await reading) == [1, 2]


async def test_a_drained_journal_leaves_no_segment_when_it_is_closed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await append(journal, *map(entry, range(3)))
        journal.forget(await everything(journal))
    assert segments(tmp_path) == []


async def test_at_its_bound_it_takes_nothing_and_says_so_until_there_is_room(tmp_path: Path) -> None:
    most = 2000
    async with journal_in(tmp_path, most_bytes=most) as journal:
        taken = 0
        while (failed := await outcome(journal.append(entry(taken, size=100)))) is None:
            taken += 1
        assert taken > 5
        assert isinstance(failed, JournalFull)
        assert "2000 allowed" in str(failed)
        assert sum(file.stat().st_size for file in segments(tmp_path)) <= most
        assert journal.size_bytes <= most
        assert not journal.holds("twilio.status", f"key-{taken}")
        assert "allowed" in str(journal.trouble)
        assert numbers(await everything(journal)) == list(range(taken))
        journal.forget(await journal.head(taken // 2))
        await asyncio.to_thread(wait_until, lambda: journal.trouble is None, 5, "room")
        await journal.append(entry(taken, size=100))


async def test_also_many_small_segments_begun_at_once_stay_within_the_bound(tmp_path: Path) -> None:
    most = 5000
    async with journal_in(tmp_path, most_bytes=most, segment_bytes=100) as journal:
        asked = [journal.append(entry(number)) for number in range(200)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert 10 < results.count(None) < 100
        assert sum(file.stat().st_size for file in segments(tmp_path)) <= most


async def test_what_waits_for_the_disk_counts_for_the_bound(tmp_path: Path) -> None:
    with Slow("sync") as disk:
        async with journal_in(tmp_path, most_bytes=2000, disk=disk) as journal:
            waiting = [journal.append(entry(number, size=100)) for number in range(30)]
            refused = [one for one in waiting if one.done()]
            assert 5 < len(refused) < 25
            assert all(isinstance(one.exception(), JournalFull) for one in refused)
            disk.go_on()
            await asyncio.gather(*(one for one in waiting if one not in refused))


async def test_a_drained_journal_never_stays_full(tmp_path: Path) -> None:
    # Also when the segments may be larger than all of it together.
    async with journal_in(tmp_path, most_bytes=3000, segment_bytes=2**20) as journal:
        for number in range(200):
            await journal.append(entry(number, size=100))
            journal.forget(await everything(journal))
        assert journal.depth == 0


async def test_an_entry_larger_than_the_journal_is_refused_and_troubles_nobody_else(tmp_path: Path) -> None:
    async with journal_in(tmp_path, most_bytes=5000) as journal:
        with pytest.raises(JournalFull):
            await journal.append(entry(1, size=6000))
        assert journal.trouble is None
        await journal.append(entry(2))


async def test_an_entry_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=200) as journal:
        large = entry(1, size=1000)
        await append(journal, entry(0), large, entry(2))
        assert numbers(await everything(journal)) == [0, 1, 2]
        length = HEADER_BYTES + FRAME_BYTES + len(encode(large))
        assert [file.stat().st_size for file in segments(tmp_path)][1] == length


async def test_the_loop_runs_while_the_disk_hangs_and_nothing_is_confirmed_meanwhile(tmp_path: Path) -> None:
    with Slow("sync") as disk:
        async with journal_in(tmp_path, disk=disk) as journal:
            waiting = journal.append(entry(1))
            await asyncio.to_thread(disk.reached.wait, 5)
            also = journal.append(entry(2))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not waiting.done()
            assert not also.done()
            assert journal.holds("twilio.status", "key-1")
            assert (journal.depth, await everything(journal)) == (0, [])
            disk.go_on()
            await asyncio.gather(waiting, also)


async def test_what_is_handed_over_while_the_disk_works_is_one_group(tmp_path: Path) -> None:
    with Slow("sync") as disk:
        async with journal_in(tmp_path, disk=disk) as journal:
            first = journal.append(entry(0))
            await asyncio.to_thread(disk.reached.wait, 5)
            rest = [journal.append(entry(number)) for number in range(1, 100)]
            disk.go_on()
            await asyncio.gather(first, *rest)
            assert disk.syncs == 2


async def test_a_new_file_is_synced_with_its_directory_before_anything_in_it_is_confirmed(
    tmp_path: Path,
) -> None:
    done: list[str] = []

    class Noting(Disk):
        def create(self, path: Path) -> int:
            done.append("create")
            return super().create(path)

        def sync(self, fd: int) -> None:
            super().sync(fd)
            done.append("sync")

        def sync_directory(self, path: Path) -> None:
            super().sync_directory(path)
            done.append("sync directory")

    async with journal_in(tmp_path, disk=Noting()) as journal:
        journal.append(entry(1)).add_done_callback(lambda _: done.append("confirmed"))
        await journal.append(entry(2))
    assert sorted(done[1:3]) == ["sync", "sync directory"]
    assert done[:4:3] == ["create", "confirmed"] or done[:5:4] == ["create", "confirmed"]


async def test_a_new_directory_outlives_a_power_failure_before_anything_in_it_is_confirmed(
    tmp_path: Path,
) -> None:
    synced: list[Path] = []

    class Noting(Disk):
        def sync_directory(self, path: Path) -> None:
            super().sync_directory(path)
            synced.append(path)

    async with journal_in(tmp_path / "journal" / "worker-0", disk=Noting()):
        assert synced == [tmp_path, tmp_path / "journal"]


@pytest.mark.parametrize(("most", "segment"), [(0, 100), (100, 0), (-1, -1)])
def test_sizes_that_hold_nothing_are_refused(tmp_path: Path, most: int, segment: int) -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        Journal.open(tmp_path, most_bytes=most, segment_bytes=segment)


async def test_an_entry_is_kept_even_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        journal.append(entry(1)).cancel()
        await journal.append(entry(2))
        assert numbers(await everything(journal)) == [1, 2]


async def test_closing_waits_for_what_was_handed_over(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        waiting = [journal.append(entry(number)) for number in range(100)]
        await journal.close()
        assert await asyncio.gather(*waiting) == [None] * 100


async def test_a_journal_that_is_not_open_takes_nothing_and_says_so(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, most_bytes=1000)
    assert "not open" in str(journal.trouble)
    with pytest.raises(JournalBroken, match="not open"):
        await journal.append(entry(1))
    await journal.close()
    await journal.close()
    with pytest.raises(JournalBroken, match="closed"):
        await journal.head(1)
    with pytest.raises(JournalBroken, match="closed"):
        journal.forget([])


async def test_two_journals_never_share_a_directory(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        with pytest.raises(JournalLocked, match=r"another process.*another directory"):
            Journal.open(tmp_path, most_bytes=1000)
    async with journal_in(tmp_path):
        pass


async def test_what_is_kept_is_for_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "worker-0"
    async with journal_in(directory) as journal:
        await journal.append(entry(1))
        assert directory.stat().st_mode & 0o077 == 0
        assert [file.stat().st_mode & 0o077 for file in segments(directory)] == [0]
