"""With tables that collapse nothing and a view that counts, a crash after any step changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from schemas.topics import Topic
from sinks.analytics import landing, sink
from sinks.analytics.landing import Lander
from sinks.analytics.migrate import migrate
from sinks.analytics.sink import _Sink
from tests.analytics import examples
from tests.analytics.world import WAIT_S, World, sinking
from tests.waiting import wait_until

BEFORE, AFTER = 300, 100


class Crash(Exception):
    """As far as Kafka and ClickHouse see, the process is gone from here on."""


def _plain_tables(around: World) -> None:
    migrate(around.clickhouse.url)
    for statement in (
        "RENAME TABLE status_events TO collapsing",
        "CREATE TABLE status_events AS collapsing ENGINE = MergeTree ORDER BY kafka_offset "
        "SETTINGS non_replicated_deduplication_window = 1000",
        "CREATE TABLE counts (status String, events UInt64) ENGINE = SummingMergeTree ORDER BY status "
        "SETTINGS non_replicated_deduplication_window = 1000",
        "CREATE MATERIALIZED VIEW counting TO counts AS "
        "SELECT status, count() AS events FROM status_events GROUP BY status",
    ):
        around.clickhouse.query(statement)


def _write(around: World, numbers: range) -> None:
    for number in numbers:
        around.producer.produce(
            Topic.STATUS, around.codec.encode(Topic.STATUS, examples.status(str(number))), str(number % 16)
        )
    assert around.producer.flush(30) == 0


def _crash_after(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, calls: int = 1) -> threading.Event:
    """The named step is done, `calls` times in all, and then nothing more."""
    crashed = threading.Event()
    real: Callable[..., Any] = getattr(owner, name)
    done = 0

    def step(self: Any, *given: Any) -> Any:
        nonlocal done
        result = real(self, *given)
        done += 1
        if done >= calls and not (name == "_intend" and not self._landing):
            crashed.set()
            raise Crash
        return result

    monkeypatch.setattr(owner, name, step)
    return crashed


@pytest.mark.parametrize(
    ("owner", "step", "calls"),
    [
        (_Sink, "_intend", 1),
        (Lander, "land", 1),
        (Lander, "land", 2),
        (_Sink, "_land", 1),
        (_Sink, "_commit", 1),
    ],
    ids=["intent", "first block", "second block", "all blocks", "commit"],
)
def test_a_crash_after_any_step_neither_loses_nor_doubles(
    around: World, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, calls: int
) -> None:
    _plain_tables(around)
    _write(around, range(BEFORE))
    with monkeypatch.context() as crashing:
        crashed = _crash_after(crashing, owner, step, calls)
        with pytest.raises(Crash), sinking(around.config(batch_s=0.5)):
            assert crashed.wait(WAIT_S)
    _write(around, range(BEFORE, BEFORE + AFTER))
    # Batches of another size: without the note, the same records would become other blocks.
    with sinking(around.config(batch_rows=7)):
        wait_until(lambda: around.committed(Topic.STATUS) == BEFORE + AFTER, WAIT_S, "all to be committed")
    assert around.clickhouse.query("SELECT count(), uniqExact(message_sid) FROM status_events") == [
        (BEFORE + AFTER, BEFORE + AFTER)
    ]
    assert around.clickhouse.query("SELECT sum(events) FROM counts") == [(BEFORE + AFTER,)]


def test_without_the_note_the_same_crash_would_double_rows(
    around: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: this is what it would see."""
    _plain_tables(around)
    _write(around, range(BEFORE))
    monkeypatch.setattr(sink, "cut_in", lambda note, committed: None)
    with monkeypatch.context() as crashing:
        crashed = _crash_after(crashing, _Sink, "_land")
        with pytest.raises(Crash), sinking(around.config(batch_s=0.5)):
            assert crashed.wait(WAIT_S)
    with sinking(around.config(batch_rows=7)):
        wait_until(lambda: around.committed(Topic.STATUS) == BEFORE, WAIT_S, "all to be committed")
    ((rows, different),) = around.clickhouse.query(
        "SELECT count(), uniqExact(message_sid) FROM status_events"
    )
    assert different == BEFORE
    assert rows > BEFORE


def test_one_poison_record_among_hundreds_costs_only_itself(
    around: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    real = landing.Preparer._one_by_one

    def counting(self: Any, work: Any, numbers: Any) -> None:
        judged.extend(numbers)
        real(self, work, numbers)

    monkeypatch.setattr(landing.Preparer, "_one_by_one", counting)
    good = [examples.status(str(number)) for number in range(500)]
    cut = around.codec.encode(Topic.STATUS, examples.status("cut"))[:-9]
    around.write(Topic.STATUS, *good[:250], cut, *good[250:])
    with sinking(around.config(batch_s=1.0)):
        around.wait_for_rows("status_events", 500)
        around.wait_for_rows("dead_letters", 1)
    assert around.clickhouse.query("SELECT reason FROM dead_letters") == [("corrupt",)]
    assert len(judged) < 200
