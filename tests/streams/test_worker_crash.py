"""The processors killed in the middle of their work, on a real Kafka: nothing missing, nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.identity import command_id
from schemas.records import DeadLetter, NotificationOutcome
from schemas.snapshot import read_partition
from schemas.topics import Topic
from schemas.vocabulary import NotificationState
from streams.delivery.row import NotificationRow
from streams.store.rows import RowCodec
from tests.streams.builders import outcome_of
from tests.streams.outside import Asked, Outside
from tests.streams.world import PARTITIONS, Place, World, on_a_real_broker, streams
from tests.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(280)]

NOTIFICATIONS = 400
KILLS = 6
CHANGELOG = Topic.NOTIFICATIONS_CHANGELOG
ROWS = RowCodec(NotificationRow, lambda row: row.due_at)


def written(world: World, watcher: Consumer) -> int:
    """How far the outcomes have grown, committed or not: a clock that runs with the work."""
    ends = [
        watcher.get_watermark_offsets(TopicPartition(Topic.OUTCOMES, p), timeout=20)
        for p in range(PARTITIONS)
    ]
    return sum(end[1] for end in ends if end is not None)


def check_stories(stories: dict[str, list[NotificationOutcome]], asked: Asked) -> None:
    assert set(stories) == asked.valid | asked.invalid | asked.conflicts
    for notification in asked.valid | asked.invalid:
        told = stories[notification]
        assert [each.version for each in told] == list(range(1, len(told) + 1)), told
        expected = NotificationState.DELIVERED if notification in asked.valid else NotificationState.INVALID
        assert told[-1].state is expected
        assert told[-1].duplicates == asked.repeats.get(notification, 0)
    for conflict in asked.conflicts:
        # Refused again whenever the repeat is read again, always in the same words.
        assert (
            len({msgspec.json.encode(msgspec.structs.replace(o, updated_at=0)) for o in stories[conflict]})
            == 1
        )


def check_dead_letters(letters: list[DeadLetter], asked: Asked) -> None:
    found = {Place(each.topic, each.partition, each.offset): each.value for each in letters}
    assert found == asked.unreadable


def changelog_rows(world: World) -> dict[str, NotificationRow]:
    """Every row as whoever recovers it would find it."""
    entries = {
        entry.key: entry.value
        for partition in range(PARTITIONS)
        for entry in read_partition(world.kafka, "tests", CHANGELOG, partition)
    }
    return {key.decode(): ROWS.decode(value) for key, value in entries.items() if value is not None}


def check_rows(world: World, stories: dict[str, list[NotificationOutcome]], asked: Asked) -> None:
    rows = changelog_rows(world)
    assert set(rows) == asked.valid | asked.invalid
    for notification, row in rows.items():
        assert outcome_of(row) == stories[notification][-1]


def before_a_start(disk: Path, older: Path, chance: random.Random) -> None:
    """What an operator, a restored image or a failing disk may do to the rows between two starts."""
    match chance.choice(["nothing", "nothing", "restored", "corrupted", "lost"]):
        case "restored" if older.exists():
            shutil.rmtree(disk)
            shutil.copytree(older, disk)
        case "corrupted":
            for file in disk.glob("*/CURRENT"):
                file.write_bytes(b"nonsense")
        case "lost":
            shutil.rmtree(disk, ignore_errors=True)


def test_killed_again_and_again_the_processors_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    disk, older = tmp_path / "disk", tmp_path / "older"
    with (
        on_a_real_broker(tmp_path) as world,
        Outside(world, 2 * NOTIFICATIONS, seed, per_s=20) as outside,
    ):
        watcher = Consumer(world.kafka.consumer("watcher", "watcher"))
        try:
            for kill in range(KILLS):
                before_a_start(disk, older, chance)
                with streams(world, tmp_path, datadir=disk) as process:
                    target = written(world, watcher) + chance.randrange(1, 3 * NOTIFICATIONS // KILLS)
                    wait_until(
                        lambda: written(world, watcher) >= target or outside.all_asked,  # noqa: B023
                        60,
                        f"{target} outcomes",
                    )
                    os.kill(process.pid, signal.SIGKILL)
                if kill % 2 == 0:
                    shutil.rmtree(older, ignore_errors=True)
                    shutil.copytree(disk, older)
        finally:
            watcher.close()
        with streams(world, tmp_path, datadir=disk):
            wait_until(lambda: outside.all_asked, 60, "everything to be asked")
            asked = outside.asked
            ids = asked.valid | asked.invalid

            def still_open() -> list[str]:
                told = world.stories()
                return [
                    each
                    for each in ids | asked.conflicts
                    if each not in told
                    or not told[each][-1].final
                    or told[each][-1].duplicates < asked.repeats.get(each, 0)
                ]

            wait_until(lambda: not still_open(), 120, "every notification to end")
            wait_until(
                lambda: (
                    len({(d.topic, d.partition, d.offset) for d in world.all(Topic.DEAD_LETTERS, DeadLetter)})
                    >= len(asked.unreadable)
                ),
                60,
                "every unreadable record to be put aside",
            )
        # The process has ended in order: nothing is written any more.
        stories = dict(world.stories())
        check_stories(stories, asked)
        commanded = Counter(command.command_id for command in world.commands())
        assert commanded == Counter(command_id(notification, 1) for notification in asked.valid)
        check_dead_letters(world.all(Topic.DEAD_LETTERS, DeadLetter), asked)
        check_rows(world, stories, asked)


def test_a_second_process_takes_over_what_a_killed_one_leaves(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    with on_a_real_broker(tmp_path) as world, Outside(world, NOTIFICATIONS // 2, seed) as outside:
        with streams(world, tmp_path, "survivor"):
            with streams(world, tmp_path, "killed") as process:
                wait_until(lambda: len(world.stories()) > 20, 60, "both to have begun")
                os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: outside.all_asked, 60, "everything to be asked")
            asked = outside.asked

            def ended() -> bool:
                told = world.stories()
                return all(each in told and told[each][-1].final for each in asked.valid | asked.invalid)

            wait_until(ended, 120, "every notification to end")
        commanded = Counter(command.command_id for command in world.commands())
        assert commanded == Counter(command_id(notification, 1) for notification in asked.valid)
        for told in world.stories().values():
            versions = [each.version for each in told if each.state is not NotificationState.CONFLICT]
            assert versions == list(range(1, len(versions) + 1))


def test_a_third_process_joins_two_at_work_and_one_of_the_three_is_killed(tmp_path: Path, seed: int) -> None:
    """Four partitions for three: dealt out alike of every topic, so that a row is in one process only."""
    print(f"seed {seed}")
    with on_a_real_broker(tmp_path) as world, Outside(world, 2 * NOTIFICATIONS, seed, per_s=20) as outside:
        with streams(world, tmp_path, "one"), streams(world, tmp_path, "two"):
            wait_until(lambda: len(world.stories()) > 20, 60, "both to have begun")
            with streams(world, tmp_path, "three") as third:
                told = len(world.stories())
                wait_until(lambda: len(world.stories()) > told + 20, 60, "three to go on")
                os.kill(third.pid, signal.SIGKILL)
            wait_until(lambda: outside.all_asked, 60, "everything to be asked")
            asked = outside.asked

            def open_() -> list[str]:
                stories = world.stories()
                return [
                    each
                    for each in asked.valid | asked.invalid | asked.conflicts
                    if each not in stories
                    or not stories[each][-1].final
                    or stories[each][-1].duplicates < asked.repeats.get(each, 0)
                ]

            wait_until(lambda: not open_(), 120, "every notification to end")
        check_stories(dict(world.stories()), asked)
        commanded = Counter(command.command_id for command in world.commands())
        assert commanded == Counter(command_id(notification, 1) for notification in asked.valid)
        check_rows(world, dict(world.stories()), asked)
