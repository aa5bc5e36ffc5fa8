"""The processors killed in the middle of their work, on a real Kafka: nothing missing, nothing twice."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.identity import command_id
from schemas.records import DeadLetter, NotificationOutcome
from schemas.topics import Topic
from schemas.vocabulary import NotificationState
from streams.delivery.row import NotificationRow
from streams.delivery.view import outcome_of
from streams.table import Table
from tests.streams.outside import Asked, Outside
from tests.streams.world import PARTITIONS, Place, World, on_a_real_broker, streams
from tests.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(280)]

NOTIFICATIONS = 400
KILLS = 6
CHANGELOG = Topic.NOTIFICATIONS_CHANGELOG


def written(world: World, watcher: Consumer) -> int:
    """How far the changelog has grown, committed or not: a clock that runs with the work."""
    ends = [
        watcher.get_watermark_offsets(TopicPartition(CHANGELOG, p), timeout=20) for p in range(PARTITIONS)
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


def check_rows(world: World, stories: dict[str, list[NotificationOutcome]], asked: Asked) -> None:
    table = Table(world.kafka, CHANGELOG, NotificationRow, world.codec)
    rows = {key.decode(): row for p in range(PARTITIONS) for key, row in table.load(p).items()}
    assert set(rows) == asked.valid | asked.invalid
    for notification, row in rows.items():
        assert outcome_of(row) == stories[notification][-1]


def test_killed_again_and_again_the_processors_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    with on_a_real_broker(tmp_path) as world, Outside(world, NOTIFICATIONS, seed) as outside:
        watcher = Consumer(world.kafka.consumer("watcher", "watcher"))
        try:
            for _ in range(KILLS):
                with streams(world, tmp_path) as process:
                    target = written(world, watcher) + chance.randrange(1, 3 * NOTIFICATIONS // KILLS)
                    wait_until(lambda: written(world, watcher) >= target, 60, f"{target} rows")  # noqa: B023
                    os.kill(process.pid, signal.SIGKILL)
        finally:
            watcher.close()
        with streams(world, tmp_path):
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
