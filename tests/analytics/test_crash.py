"""kill -9 at random moments, a restart, and every table is what the topics say."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas.topics import Topic
from tests.analytics import examples
from tests.analytics.recomputed import held, wanted
from tests.analytics.world import KEY, WAIT_S, World, world
from tests.servers import ROOT
from tests.waiting import wait_until

KILLS = 4
RECORDS = 3_000


pytestmark = [pytest.mark.broker, pytest.mark.chaos]


@pytest.fixture
def around(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, real_broker=True) as servers:
        yield servers


def test_after_kill_9_at_random_moments_every_table_equals_a_recomputation(
    around: World, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    _write(around, chance)
    order = {
        "bootstrap": around.kafka.bootstrap_servers,
        "registry": around.registry_url,
        "clickhouse": around.clickhouse.url,
        "key": KEY.hex(),
        "batch_rows": 50,
        "batch_s": 0.05,
    }
    command = [sys.executable, "-m", "tests.analytics.sink_process", msgspec.json.encode(order).decode()]
    killed_at = []
    with open(tmp_path / "sink.log", "ab") as log:
        for life in range(KILLS + 1):
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log) as sink:
                try:
                    if life < KILLS:
                        # Somewhere in the middle of a batch: the moment is drawn in rows landed.
                        enough = _landed(around) + chance.randrange(1, RECORDS // (KILLS * 3))
                        wait_until(lambda: _landed(around) >= enough, WAIT_S, f"{enough} rows to land")  # noqa: B023
                        killed_at.append(_landed(around))
                    else:
                        wait_until(lambda: _all_committed(around), WAIT_S, "all to be committed")
                finally:
                    sink.kill()
    # Otherwise the kills came too late to prove anything.
    assert killed_at[0] < RECORDS
    assert held(around) == wanted(around)


def _write(around: World, chance: random.Random) -> None:
    """Some of everything: outcomes out of order, unreadable bytes, and many statuses."""
    for number in range(RECORDS):
        key = str(chance.randrange(RECORDS // 4))
        version = chance.randrange(1, 6)
        match chance.randrange(10):
            case 0:
                # The same version is the same outcome, as the pipeline guarantees.
                state = ["requested", "sending", "sent", "delivered", "read"][version - 1]
                attempts = (examples.attempt(status=state),) * (version > 1)
                around.write(
                    Topic.OUTCOMES,
                    examples.outcome(key, version=version, state=state, attempts=attempts),
                    key=examples.nid(key),
                )
            case 1:
                around.write(Topic.ATTEMPTS, examples.attempt_event(key), key=examples.nid(key))
            case 2:
                around.write(Topic.REQUESTS, examples.request(key), key=examples.nid(key))
            case 3 if chance.random() < 0.2:
                around.write(Topic.STATUS, chance.randbytes(chance.randrange(40)), key=examples.nid(key))
            case _:
                around.write(Topic.STATUS, examples.status(key, event_id=str(number)), key=examples.nid(key))


def _landed(around: World) -> int:
    tables = {table for (table,) in around.clickhouse.query("SHOW TABLES")}
    return around.count("status_events") if "status_events" in tables else 0


def _all_committed(around: World) -> bool:
    return all(
        around.committed(topic) == len(around.read(topic))
        for topic in (Topic.STATUS, Topic.OUTCOMES, Topic.ATTEMPTS, Topic.REQUESTS, Topic.DEAD_LETTERS)
    )
