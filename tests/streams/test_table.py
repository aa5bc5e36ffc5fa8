"""Rows recovered are the rows last committed."""

from __future__ import annotations

import msgspec
import pytest

from schemas.topics import Topic
from streams.delivery.row import NotificationRow
from streams.outputs import Outputs
from streams.table import NotRecovered, Table
from tests.streams.builders import accepted, callback, requested
from tests.streams.test_outputs import new_id, on_a_real_broker, started
from tests.streams.world import World

pytestmark = pytest.mark.anyio
CHANGELOG = Topic.NOTIFICATIONS_CHANGELOG
ROW = requested().row


def table(world: World) -> Table[NotificationRow]:
    return Table(world.kafka, CHANGELOG, NotificationRow, world.codec)


def put(
    rows: Table[NotificationRow], key: bytes, row: NotificationRow, outputs: Outputs, partition: int = 0
) -> None:
    rows.put(rows.change(partition, key, row), outputs)


async def test_the_last_committed_row_of_each_key_is_recovered(quiet: World) -> None:
    one, other = new_id().encode(), new_id().encode()
    rows, story = table(quiet), accepted()
    rows.adopt(0, {})
    async with started(quiet, new_id()) as outputs:
        put(rows, one, ROW, outputs)
        put(rows, other, ROW, outputs)
        await outputs.flush()
        story.feed(callback("delivered"))
        put(rows, one, story.row, outputs)
        await outputs.flush()
    recovered = table(quiet).load(0)
    assert (recovered[one], recovered[other]) == (story.row, ROW)


async def test_a_row_is_recovered_from_its_own_partition_only(quiet: World) -> None:
    key = new_id().encode()
    rows = table(quiet)
    rows.adopt(1, {})
    async with started(quiet, new_id()) as outputs:
        put(rows, key, ROW, outputs, partition=1)
        await outputs.flush()
    assert table(quiet).load(1)[key] == ROW
    assert key not in table(quiet).load(2)


async def test_a_row_is_there_for_the_next_event_before_it_is_committed(quiet: World) -> None:
    rows = table(quiet)
    rows.adopt(0, {})
    async with started(quiet, new_id()) as outputs:
        put(rows, b"k", ROW, outputs)
        assert rows.get(0, b"k") == ROW
        await outputs.flush()


async def test_every_field_of_a_row_survives_the_changelog(quiet: World) -> None:
    story = accepted()
    story.feed(callback("sent"), callback("undelivered", error_code=30003, at=30))
    full = msgspec.structs.replace(story.row, repeats=("0:7",), duplicates=1, channel_index=0)
    key, rows = new_id().encode(), table(quiet)
    rows.adopt(3, {})
    async with started(quiet, new_id()) as outputs:
        put(rows, key, full, outputs, partition=3)
        await outputs.flush()
    assert table(quiet).load(3)[key] == full


def test_a_partition_is_not_used_before_its_rows_are_there(quiet: World) -> None:
    rows = table(quiet)
    with pytest.raises(NotRecovered, match=r"changelog \[2\]"):
        rows.get(2, b"k")
    with pytest.raises(NotRecovered):
        rows.change(2, b"k", ROW)


def test_a_partition_given_away_is_forgotten(quiet: World) -> None:
    rows = table(quiet)
    rows.adopt(2, {b"k": ROW})
    assert rows.owned() == {2}
    rows.drop(2)
    assert rows.owned() == frozenset()
    with pytest.raises(NotRecovered):
        rows.get(2, b"k")


@on_a_real_broker
async def test_a_row_whose_transaction_was_not_committed_is_not_recovered(quiet: World) -> None:
    key, rows = new_id().encode(), table(quiet)
    rows.adopt(0, {})
    async with started(quiet, new_id()) as outputs:
        put(rows, key, ROW, outputs)
        await outputs.flush()
        put(rows, key, accepted().row, outputs)
    assert table(quiet).load(0)[key] == ROW


@on_a_real_broker
def test_a_row_that_was_removed_is_not_recovered(quiet: World) -> None:
    key = new_id()
    place = quiet.write(CHANGELOG, key, ROW)
    assert key.encode() in table(quiet).load(place.partition)
    quiet.write(CHANGELOG, key, None)
    assert key.encode() not in table(quiet).load(place.partition)
