"""Rows recovered are the rows last committed, whatever the local disk says."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from schemas.topics import Topic
from streams.outputs import Outputs
from streams.store.database import Database
from streams.store.errors import NotRecovered, RecoveryInterrupted
from streams.store.partition import Due, Partition
from streams.store.recovery import BELIEVED_MS, Changelog
from streams.store.rows import RowCodec
from streams.table import Loaded, Table
from tests.streams.test_outputs import new_id, on_a_real_broker, started
from tests.streams.test_store_rows import Row
from tests.streams.world import World

pytestmark = pytest.mark.anyio
CHANGELOG = Topic.RECIPIENTS_CHANGELOG  # any will do: nobody else works in this world
CODEC = RowCodec(Row, lambda row: row.due_at)
FIRST, SECOND = Row("first", 5), Row("second", 9)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@contextmanager
def table(world: World, directory: Path, hot_rows: int = 10) -> Iterator[Table[Row]]:
    with closing(Database(directory)) as database:
        yield Table(world.kafka, CHANGELOG, CODEC, database, 1, hot_rows)


def load(rows: Table[Row], partition: int = 0) -> Loaded:
    with rows.recovery() as source:
        loaded = rows.load(source, partition)
    rows.adopt(loaded)
    return loaded


def put(rows: Table[Row], key: bytes, row: Row | None, outputs: Outputs, partition: int = 0) -> None:
    rows.put(rows.change(partition, key, rows.get(partition, key), row), outputs)


async def write(
    world: World,
    directory: Path,
    *changes: tuple[bytes, Row | None],
    partition: int = 0,
    commits: bool = True,
) -> None:
    """A process that recovers, commits change after change, and ends; or dies before the last commit."""
    with table(world, directory) as rows:
        async with started(world, new_id()) as outputs:
            outputs.attach(rows)
            load(rows, partition)
            for number, (key, row) in enumerate(changes):
                put(rows, key, row, outputs, partition)
                if commits or number < len(changes) - 1:
                    await outputs.flush()


def recovered(world: World, directory: Path, key: bytes, partition: int = 0) -> tuple[Row | None, int]:
    """A key's row after a start with this directory, and how many records had to be read for it."""
    with table(world, directory) as rows:
        read = load(rows, partition).read
        return rows.get(partition, key), read


async def test_the_last_committed_row_of_each_key_is_recovered(
    quiet: World, directory: Path, tmp_path: Path
) -> None:
    one, other = new_id().encode(), new_id().encode()
    await write(quiet, directory, (one, FIRST), (other, FIRST), (one, SECOND))
    for place in (directory, tmp_path / "empty"):
        assert recovered(quiet, place, one)[0] == SECOND
        assert recovered(quiet, place, other)[0] == FIRST


async def test_a_row_that_is_changed_several_times_in_a_transaction_is_written_once(
    quiet: World, directory: Path, tmp_path: Path
) -> None:
    key = new_id().encode()
    recovered(quiet, tmp_path / "reader", key)
    with table(quiet, directory) as rows:
        async with started(quiet, new_id()) as outputs:
            outputs.attach(rows)
            load(rows)
            put(rows, key, FIRST, outputs)
            put(rows, key, SECOND, outputs)
            await outputs.flush()
    assert recovered(quiet, tmp_path / "reader", key) == (SECOND, 1)


async def test_a_row_that_is_changed_while_a_commit_is_under_way_comes_with_the_next(
    quiet: World, directory: Path, tmp_path: Path
) -> None:
    key = new_id().encode()
    with table(quiet, directory) as rows:
        async with started(quiet, new_id()) as outputs:
            outputs.attach(rows)
            load(rows)
            put(rows, key, FIRST, outputs)
            flushing = asyncio.create_task(outputs.flush())
            await asyncio.sleep(0)  # the task runs up to its commit
            put(rows, key, SECOND, outputs)
            assert outputs.backlog == 1
            await flushing
            assert (outputs.backlog, outputs.dirty) == (0, True)
            assert recovered(quiet, tmp_path / "before", key)[0] == FIRST
            await outputs.flush()
    assert recovered(quiet, tmp_path / "after", key)[0] == SECOND


async def test_a_restart_on_its_own_disk_reads_nothing_again(quiet: World, directory: Path) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST))
    assert recovered(quiet, directory, key) == (FIRST, 0)


async def test_a_store_of_an_older_time_is_brought_up_by_the_rest(
    quiet: World, directory: Path, tmp_path: Path
) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST))
    older = shutil.copytree(directory, tmp_path / "older")
    await write(quiet, directory, (key, SECOND), (b"another", FIRST))
    assert recovered(quiet, older, key) == (SECOND, 2)


async def test_a_row_is_recovered_from_its_own_partition_only(quiet: World, directory: Path) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST), partition=1)
    assert recovered(quiet, directory, key, partition=1)[0] == FIRST
    assert recovered(quiet, directory, key, partition=2)[0] is None


async def test_a_row_that_was_removed_is_not_recovered(quiet: World, directory: Path, tmp_path: Path) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST))
    older = shutil.copytree(directory, tmp_path / "older")
    await write(quiet, directory, (key, None))
    for place in (directory, older, tmp_path / "empty"):
        assert recovered(quiet, place, key)[0] is None


async def test_deadlines_are_those_of_the_rows_recovered(quiet: World, tmp_path: Path) -> None:
    key = new_id().encode()
    await write(quiet, tmp_path / "writer", (key, FIRST), (key, SECOND), partition=3)
    with table(quiet, tmp_path / "reader") as rows:
        load(rows, 3)
        due = [each for each in rows.pop_due(99, 1_000) if each.key == key]
    assert due == [Due(9, 3, key)]


async def test_a_row_is_there_for_the_next_event_before_it_is_committed(
    quiet: World, directory: Path
) -> None:
    with table(quiet, directory) as rows:
        async with started(quiet, new_id()) as outputs:
            load(rows)
            put(rows, b"k", FIRST, outputs)
            assert rows.get(0, b"k") == FIRST


async def test_rows_that_are_not_in_memory_any_more_are_read_from_the_disk(
    quiet: World, directory: Path
) -> None:
    keys = [b"%s-%d" % (new_id().encode(), number) for number in range(50)]
    with table(quiet, directory, hot_rows=5) as rows:
        async with started(quiet, new_id()) as outputs:
            outputs.attach(rows)
            load(rows)
            for number, key in enumerate(keys):
                put(rows, key, Row(str(number)), outputs)
            assert [rows.get(0, key) for key in keys] == [Row(str(number)) for number in range(50)]
            await outputs.flush()
            assert [rows.get(0, key) for key in keys] == [Row(str(number)) for number in range(50)]
            assert len(rows._recent._young) + len(rows._recent._old) <= 10


async def test_a_partition_is_not_used_before_its_rows_are_there_nor_after_it_was_given_away(
    quiet: World, directory: Path
) -> None:
    with table(quiet, directory) as rows:
        with pytest.raises(NotRecovered, match=r"changelog \[2\]"):
            rows.get(2, b"k")
        load(rows, 2)
        assert rows.owned() == {2}
        rows.drop(2)
        assert rows.owned() == frozenset()
        for use in (lambda: rows.get(2, b"k"), lambda: rows.change(2, b"k", None, FIRST)):
            with pytest.raises(NotRecovered):
                use()


async def test_a_recovery_is_broken_off_and_goes_on_where_it_was(
    quiet: World, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_id().encode()
    await write(quiet, tmp_path / "writer", *[(key + b"%d" % number, FIRST) for number in range(20)])
    monkeypatch.setattr("streams.store.recovery._AT_ONCE", 5)
    monkeypatch.setattr("streams.store.recovery._STEP", 5)
    with table(quiet, directory) as rows, rows.recovery() as source:

        def begun() -> int:
            return Partition(rows._database, 1, 0).reached.offset

        with pytest.raises(RecoveryInterrupted, match="taken away"):
            rows.load(source, 0, lambda: begun() > 0)
        part = begun()
        whole = rows.load(source, 0)
        assert 0 < part < whole.store.reached.offset
    assert recovered(quiet, directory, key + b"19")[0] == FIRST


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("offset", "the changelog ends at"),
        ("source", "another changelog"),
        ("at", "so old"),
    ],
)
async def test_a_store_that_cannot_be_believed_is_rebuilt_with_one_line_in_the_log(
    quiet: World, directory: Path, change: str, why: str
) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST))
    with table(quiet, directory) as rows:
        store = Partition(rows._database, 1, 0)
        at = time.time_ns() // 1_000_000 - (BELIEVED_MS + 1 if change == "at" else 0)
        if change == "source":
            store.begin_again("elsewhere")
        store.load({b"ghost": CODEC.encode(FIRST)}, 10**9 if change == "offset" else 1, at)
    with capture_logs() as logged:
        assert recovered(quiet, directory, b"ghost")[0] is None
    assert [why in entry["why"] for entry in logged] == [True]
    assert recovered(quiet, directory, key)[0] == FIRST


async def test_rows_of_a_partition_that_went_elsewhere_long_ago_leave_the_disk(
    quiet: World, directory: Path
) -> None:
    await write(quiet, directory, (b"k", FIRST), partition=2)
    await write(quiet, directory, (b"k", FIRST), partition=3)
    with table(quiet, directory) as rows, rows.recovery() as source:
        rows.adopt(rows.load(source, 1))
        old = Partition(rows._database, 1, 2)
        old.load({}, old.reached.offset, time.time_ns() // 1_000_000 - BELIEVED_MS - 1)
        rows.tidy(source)
        assert list(Partition(rows._database, 1, 2).committed()) == []
        assert list(Partition(rows._database, 1, 3).committed()) != []


@on_a_real_broker
async def test_a_row_whose_transaction_was_not_committed_is_not_recovered(
    quiet: World, directory: Path, tmp_path: Path
) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST), (key, SECOND), commits=False)
    for place in (directory, tmp_path / "empty"):
        assert recovered(quiet, place, key)[0] == FIRST


@on_a_real_broker
async def test_a_kill_between_the_commit_and_the_disk_is_made_up_for_by_the_changelog(
    quiet: World, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_id().encode()
    await write(quiet, directory, (key, FIRST))
    monkeypatch.setattr(Partition, "settle", lambda *_: None)
    await write(quiet, directory, (key, SECOND))
    monkeypatch.undo()
    assert recovered(quiet, directory, key) == (SECOND, 1)


@on_a_real_broker
async def test_a_topic_of_another_id_is_another_changelog(quiet: World) -> None:
    with Changelog(quiet.kafka, CHANGELOG) as one, Changelog(quiet.kafka, Topic.OUTCOMES) as other:
        assert one._identity() != other._identity()
        assert one._identity() == one._identity()
