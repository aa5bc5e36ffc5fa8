"""A record is kept at the broker, or on the disk, or whoever waits is told that it is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingress.errors import NotKept
from ingress.journal import Journal
from ingress.journal.disk import Disk
from ingress.keeping import Keeper, Where
from tests.ingress.fake_broker import TOPIC, FakeBroker, journal_in

pytestmark = pytest.mark.anyio

# Far beyond any test: nothing is late unless a test wants it.
NEVER_S = 600.0
AT_ONCE_S = 0.01
NOW_MS = 1_700_000_000_000
LONGEST_S = 10.0


class Kept:
    """A keeper with its broker and its journal."""

    def __init__(self, journal: Journal, ack_timeout_s: float) -> None:
        self.broker = FakeBroker()
        self.journal = journal
        self.drain_wanted: list[int] = []  # how many entries there were each time
        self.keeper = Keeper(
            self.broker, journal, ack_timeout_s=ack_timeout_s, on_journaled=self._on_journaled
        )

    def _on_journaled(self) -> None:
        self.drain_wanted.append(self.journal.depth)

    def keep(self, key: str = "k", value: bytes = b"v") -> asyncio.Future[Where]:
        return self.keeper.keep(TOPIC, key, value, NOW_MS)


@asynccontextmanager
async def keeping(
    directory: Path, *, ack_timeout_s: float = NEVER_S, most_bytes: int = 2**20, disk: Disk | None = None
) -> AsyncIterator[Kept]:
    async with journal_in(directory / "journal", most_bytes=most_bytes, disk=disk) as journal:
        yield Kept(journal, ack_timeout_s)


async def where(answer: asyncio.Future[Where]) -> Where:
    return await asyncio.wait_for(answer, LONGEST_S)


async def entries(journal: Journal) -> list[tuple[str, bytes]]:
    return [(kept.entry.key, kept.entry.value) for kept in await journal.head(100)]


class HeldDisk(Disk):
    """Writes, and does not come back from the sync before it is let go."""

    def __init__(self) -> None:
        self.syncing = threading.Event()
        self.let_go = threading.Event()

    def sync(self, fd: int) -> None:
        self.syncing.set()
        assert self.let_go.wait(LONGEST_S)
        super().sync(fd)


async def test_what_the_broker_acknowledges_is_kept_there_and_not_before(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        answer = kept.keep()
        await asyncio.sleep(0)
        assert not answer.done()
        kept.broker.acknowledge_all()
        assert await where(answer) is Where.BROKER
        assert kept.journal.depth == 0


async def test_what_is_not_acknowledged_in_time_goes_to_the_journal(tmp_path: Path) -> None:
    async with keeping(tmp_path, ack_timeout_s=AT_ONCE_S) as kept:
        assert await where(kept.keep("k", b"late")) is Where.JOURNAL
        assert await entries(kept.journal) == [("k", b"late")]
        assert kept.drain_wanted[-1] == 1
        assert "no acknowledgement within" in str(kept.keeper.to_journal)


async def test_a_report_that_comes_after_the_answer_changes_nothing(tmp_path: Path) -> None:
    async with keeping(tmp_path, ack_timeout_s=AT_ONCE_S) as kept:
        acknowledged, failed = kept.keep("a"), kept.keep("b")
        assert {await where(acknowledged), await where(failed)} == {Where.JOURNAL}
        kept.broker.acknowledge(kept.broker.waiting[0])
        kept.broker.fail(kept.broker.waiting[0])
        assert {await where(acknowledged), await where(failed)} == {Where.JOURNAL}
        # The broker may have it, but only the drain may forget an entry.
        assert kept.journal.depth == 2


async def test_it_is_not_answered_before_the_disk_has_it(tmp_path: Path) -> None:
    disk = HeldDisk()
    async with keeping(tmp_path, ack_timeout_s=AT_ONCE_S, disk=disk) as kept:
        answer = kept.keep()
        assert await asyncio.to_thread(disk.syncing.wait, LONGEST_S)
        assert not answer.done()
        assert kept.drain_wanted == [0]
        disk.let_go.set()
        assert await where(answer) is Where.JOURNAL


async def test_a_report_while_the_disk_still_writes_is_answered_at_once(tmp_path: Path) -> None:
    disk = HeldDisk()
    async with keeping(tmp_path, ack_timeout_s=AT_ONCE_S, disk=disk) as kept:
        answer = kept.keep()
        assert await asyncio.to_thread(disk.syncing.wait, LONGEST_S)
        kept.broker.acknowledge_all()
        assert await where(answer) is Where.BROKER
        # The entry comes all the same, and what follows under its key goes behind it.
        kept.keeper.broker_back()
        behind = kept.keep("k", b"second")
        assert kept.broker.waiting == []
        disk.let_go.set()
        assert await where(behind) is Where.JOURNAL
        assert await entries(kept.journal) == [("k", b"v"), ("k", b"second")]


async def test_an_error_sends_its_own_record_to_the_journal_and_no_other(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        refused, other = kept.keep("a"), kept.keep("b")
        kept.broker.fail(kept.broker.waiting[0], "Kafka: message too large")
        assert await where(refused) is Where.JOURNAL
        assert not other.done()
        assert kept.keeper.to_journal is None
        kept.broker.acknowledge_all()
        assert await where(other) is Where.BROKER


async def test_an_outage_sends_all_that_wait_to_the_journal_in_their_order(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        waiting = [kept.keep(key) for key in "cab"]
        kept.keeper.broker_away("all brokers are down")
        assert {await where(answer) for answer in waiting} == {Where.JOURNAL}
        assert [key for key, _ in await entries(kept.journal)] == ["c", "a", "b"]


async def test_an_outage_wants_the_drain_though_the_journal_takes_nothing(tmp_path: Path) -> None:
    async with keeping(tmp_path, ack_timeout_s=AT_ONCE_S, most_bytes=1000) as kept:
        with pytest.raises(NotKept):
            await where(kept.keep("k", b"x" * 2000))
        assert kept.drain_wanted == [0]


async def test_during_an_outage_nobody_waits_for_the_broker(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        kept.keeper.broker_away("all brokers are down")
        assert await where(kept.keep()) is Where.JOURNAL
        assert kept.broker.waiting == []


async def test_a_key_with_an_entry_in_the_journal_has_its_next_records_behind_it(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        kept.keeper.broker_away("all brokers are down")
        await where(kept.keep("k", b"first"))
        kept.keeper.broker_back()
        behind, other = kept.keep("k", b"second"), kept.keep("other")
        assert [delivery.key for delivery in kept.broker.waiting] == ["other"]
        kept.broker.acknowledge_all()
        assert (await where(behind), await where(other)) == (Where.JOURNAL, Where.BROKER)
        kept.journal.forget(await kept.journal.head(100))
        direct = kept.keep("k", b"third")
        kept.broker.acknowledge_all()
        assert await where(direct) is Where.BROKER


async def test_with_the_broker_away_and_the_journal_full_it_is_not_kept_and_the_error_names_nobody(
    tmp_path: Path,
) -> None:
    async with keeping(tmp_path, most_bytes=1000) as kept:
        kept.keeper.broker_away("all brokers are down")
        with pytest.raises(NotKept) as told:
            await where(kept.keep("+14155550123", b"call me" * 1000))
        assert "all brokers are down" in str(told.value)
        assert "1000 allowed" in str(told.value)
        assert "+1415" not in str(told.value)
        assert "call me" not in str(told.value)


async def test_what_the_full_journal_did_not_take_holds_up_nothing_of_its_key(tmp_path: Path) -> None:
    async with keeping(tmp_path, most_bytes=1000) as kept:
        kept.keeper.broker_away("all brokers are down")
        with pytest.raises(NotKept):
            await where(kept.keep("k", b"x" * 2000))
        kept.keeper.broker_back()
        again = kept.keep("k", b"x" * 2000)
        kept.broker.acknowledge_all()
        assert await where(again) is Where.BROKER


async def test_nobody_has_to_wait_for_the_answer(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        acknowledged, failed, put_off = kept.keep("a"), kept.keep("b"), kept.keep("c")
        for answer in (acknowledged, failed, put_off):
            answer.cancel()
        kept.broker.acknowledge(kept.broker.waiting[0])
        kept.broker.fail(kept.broker.waiting[0])
        kept.keeper.broker_away("all brokers are down")
        assert await where(kept.keep("d")) is Where.JOURNAL
