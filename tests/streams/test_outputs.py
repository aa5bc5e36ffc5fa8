"""State and effects appear together or not at all."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import KafkaException

from schemas.snapshot import read_partition
from schemas.topics import Topic
from streams.outputs import Outputs, OutputsFailed, Rows
from tests.streams.world import World

pytestmark = pytest.mark.anyio
# What the embedded broker cannot show: it hands out what was never committed.
on_a_real_broker = pytest.mark.parametrize(
    "quiet", [pytest.param("real", marks=pytest.mark.broker)], indirect=True
)
TOPIC = Topic.OUTCOMES  # any will do: only bytes are written here


def new_id() -> str:
    return f"outputs-{uuid.uuid4().hex[:8]}"


def committed(world: World, key: bytes) -> list[bytes | None]:
    """Everything committed under a key that only one test uses, on partition 0."""
    return [e.value for e in read_partition(world.kafka, "tests", TOPIC, 0, timeout_s=20) if e.key == key]


@asynccontextmanager
async def started(world: World, transactional_id: str) -> AsyncIterator[Outputs]:
    outputs = Outputs(world.kafka, transactional_id)
    await outputs.start()
    try:
        yield outputs
    finally:
        outputs.close()


async def in_thread(call: Callable[[], list[bytes | None]]) -> list[bytes | None]:
    return await asyncio.to_thread(call)


async def test_what_was_flushed_is_there_in_the_order_it_was_written(quiet: World) -> None:
    key = new_id().encode()
    async with started(quiet, new_id()) as outputs:
        for number in range(300):
            outputs.write(TOPIC, key, b"%d" % number, 0)
        await outputs.flush()
    assert committed(quiet, key) == [b"%d" % number for number in range(300)]


async def test_several_topics_are_written_in_one_transaction(quiet: World) -> None:
    key = new_id().encode()
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, key, b"1", 0)
        outputs.write(Topic.NOTIFICATIONS_CHANGELOG, key, b"2", 0)
        await outputs.flush()
        assert outputs.transactions == 1
    assert committed(quiet, key) == [b"1"]


async def test_nothing_to_write_is_no_transaction(quiet: World) -> None:
    async with started(quiet, new_id()) as outputs:
        await outputs.flush()
        assert (outputs.transactions, outputs.dirty) == (0, False)


async def test_dirty_is_what_has_not_been_flushed(quiet: World) -> None:
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, b"k", b"v", 0)
        assert outputs.dirty
        await outputs.flush()
        assert not outputs.dirty


async def test_what_is_written_while_a_commit_is_under_way_comes_with_the_next(quiet: World) -> None:
    key = new_id().encode()
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, key, b"first", 0)
        flushing = asyncio.create_task(outputs.flush())
        await asyncio.sleep(0)  # the task runs up to its commit
        outputs.write(TOPIC, key, b"second", 0)
        assert outputs.backlog == 1
        await flushing
        assert (outputs.backlog, outputs.dirty, outputs.transactions) == (0, True, 1)
        await outputs.flush()
    assert committed(quiet, key) == [b"first", b"second"]


async def test_flushes_at_once_commit_once(quiet: World) -> None:
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, b"k", b"v", 0)
        await asyncio.gather(*(outputs.flush() for _ in range(5)))
        assert outputs.transactions == 1


async def test_after_a_failure_nothing_is_ever_committed(quiet: World) -> None:
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, b"k", b"v", 0)
        outputs.fail(ValueError("a decision went wrong"))
        for _ in range(2):
            with pytest.raises(OutputsFailed):
                await outputs.flush()
        assert outputs.transactions == 0


async def test_a_record_larger_than_the_broker_takes_is_an_error_at_once(quiet: World) -> None:
    async with started(quiet, new_id()) as outputs:
        with pytest.raises(KafkaException):
            outputs.write(TOPIC, b"k", b"x" * 2_000_000, 0)


class TooLarge:
    """A keeper whose row no broker takes."""

    def seal(self) -> list[Rows]:
        return [Rows(TOPIC, 0, {b"k": b"x" * 2_000_000})]

    def settle(self, reached: Mapping[tuple[str, int], int], at: int) -> None:
        raise AssertionError("nothing was committed")


async def test_when_a_row_cannot_be_written_nothing_of_its_transaction_is_ever_committed(
    quiet: World,
) -> None:
    key = new_id().encode()
    async with started(quiet, new_id()) as outputs:
        outputs.attach(TooLarge())
        outputs.write(TOPIC, key, b"decided with the row", 0)
        with pytest.raises(KafkaException):
            await outputs.flush()
        with pytest.raises(OutputsFailed):
            await outputs.flush()
        assert outputs.transactions == 0


async def test_when_what_waited_behind_a_commit_cannot_be_written_nothing_more_is_committed(
    quiet: World,
) -> None:
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, b"k", b"first", 0)
        flushing = asyncio.create_task(outputs.flush())
        await asyncio.sleep(0)  # the task runs up to its commit
        outputs.write(TOPIC, b"k", b"x" * 2_000_000, 0)
        outputs.write(TOPIC, b"k", b"after it", 0)
        with pytest.raises(KafkaException):
            await flushing
        with pytest.raises(OutputsFailed):
            await outputs.flush()
        assert outputs.transactions == 1


@on_a_real_broker
async def test_what_was_not_flushed_is_not_seen(quiet: World) -> None:
    key = new_id().encode()
    async with started(quiet, new_id()) as outputs:
        outputs.write(TOPIC, key, b"never", 0)
    assert await in_thread(lambda: committed(quiet, key)) == []


@on_a_real_broker
async def test_a_successor_ends_what_its_predecessor_left_open_and_shuts_it_out(quiet: World) -> None:
    key, name = new_id().encode(), new_id()
    async with started(quiet, name) as outputs:
        outputs.write(TOPIC, key, b"committed", 0)
        await outputs.flush()
    # Not closed: it hangs, as a process does that the machine has suspended.
    hanging = Outputs(quiet.kafka, name)
    await hanging.start()
    hanging.write(TOPIC, key, b"left open", 0)
    async with started(quiet, name) as successor:
        successor.write(TOPIC, key, b"successor", 0)
        await successor.flush()
        for _ in range(2):
            with pytest.raises(OutputsFailed):
                await hanging.flush()
    assert await in_thread(lambda: committed(quiet, key)) == [b"committed", b"successor"]
    with pytest.raises(KafkaException):
        hanging.close()  # it may not even abort any more
