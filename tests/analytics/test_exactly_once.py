"""With tables that collapse nothing and a view that counts, a crash after any step changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import ProviderStatus
from schemas.topics import Topic
from sinks.analytics import landing, sink
from sinks.analytics.clickhouse import connect
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.deadletters import DeadLetters
from sinks.analytics.landing import Lander
from sinks.analytics.migrate import migrate
from sinks.analytics.sink import _Sink
from tests.analytics import examples
from tests.analytics.memory_kafka import Log
from tests.analytics.world import KEY, WAIT_S, ClickHouse, sinking
from tests.waiting import wait_until

RECORDS = 400
PARTITIONS = 3
SCHEMA_ID = 7


class Crash(Exception):
    """As far as Kafka and ClickHouse see, the process is gone from here on."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    clickhouse = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    clickhouse.start()
    yield clickhouse
    clickhouse.stop()


class Around:
    """A log, a database of plain tables of its own, and sinks that need no registry."""

    def __init__(self, server: ClickHouse, database: str) -> None:
        self.log = Log()
        self.codec = Codec("http://127.0.0.1:9")
        self._know(self.codec)
        self._server, self._database = server, database
        self._url = f"{server.url}/{database}"
        migrate(self._url)
        for statement in (
            "RENAME TABLE status_events TO collapsing",
            "CREATE TABLE status_events AS collapsing ENGINE = MergeTree ORDER BY kafka_offset "
            "SETTINGS non_replicated_deduplication_window = 1000",
            "CREATE TABLE counts (status String, events UInt64) ENGINE = SummingMergeTree ORDER BY status "
            "SETTINGS non_replicated_deduplication_window = 1000",
            "CREATE MATERIALIZED VIEW counting TO counts AS "
            "SELECT status, count() AS events FROM status_events GROUP BY status",
        ):
            self.query(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        client = connect(self._url)
        try:
            return [tuple(row) for row in client.query(sql).result_rows]
        finally:
            client.close()

    def write(self, numbers: range) -> None:
        for number in numbers:
            value = self.codec.encode(Topic.STATUS, examples.status(str(number)))
            self.log.records.setdefault((Topic.STATUS.value, number % PARTITIONS), []).append(value)

    def config(self, **changes: Any) -> AnalyticsConfig:
        return AnalyticsConfig(
            kafka=Kafka(bootstrap_servers="127.0.0.1:9"),
            schema_registry_url="http://127.0.0.1:9",
            clickhouse_url=self._url,
            pii_hash_key=KEY,
            **({"batch_s": 0.1} | changes),
        )

    def made(self, url: str) -> Codec:
        codec = Codec(url)
        self._know(codec)
        return codec

    def _know(self, codec: Codec) -> None:
        codec.adopt(Topic.STATUS, ProviderStatus, SCHEMA_ID)
        codec._writers[SCHEMA_ID] = codec._own(ProviderStatus)

    def landed(self) -> tuple[int, int, int]:
        """Rows, different rows, and what the view counted."""
        ((rows, different),) = self.query("SELECT count(), uniqExact(message_sid) FROM status_events")
        ((counted,),) = self.query("SELECT sum(events) FROM counts")
        return rows, different, counted


@pytest.fixture
def around(server: ClickHouse, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Around:
    made = Around(server, f"d{abs(hash(request.node.name))}")
    monkeypatch.setattr(sink, "Consumer", made.log.consumer)
    monkeypatch.setattr(sink, "Codec", made.made)
    return made


def _crash(around: Around, owner: type, step: str, calls: int = 1) -> None:
    """One life of a sink: the named step is done so many times, and then nothing more."""
    crashed = threading.Event()
    real: Callable[..., Any] = getattr(owner, step)
    done = 0

    def until_then(self: Any, *given: Any) -> Any:
        nonlocal done
        result = real(self, *given)
        done += 1
        if done >= calls:
            crashed.set()
            raise Crash
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, step, until_then)
        with pytest.raises(Crash), sinking(around.config()):
            assert crashed.wait(WAIT_S)


def _finish(around: Around, **changes: Any) -> None:
    with sinking(around.config(**changes)):
        wait_until(around.log.done, WAIT_S, "all to be committed")


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
    around: Around, owner: type, step: str, calls: int
) -> None:
    around.write(range(RECORDS))
    _crash(around, owner, step, calls)
    # More has come, and batches are of another size: without the note the same records become other blocks.
    around.write(range(RECORDS, 2 * RECORDS))
    _finish(around, batch_rows=70)
    assert around.landed() == (2 * RECORDS, 2 * RECORDS, 2 * RECORDS)


def test_crash_upon_crash_still_repeats_the_first_range(around: Around) -> None:
    around.write(range(RECORDS))
    for calls in (1, 2, 1):
        _crash(around, Lander, "land", calls)
        around.write(range(len(_all(around)), len(_all(around)) + 50))
    _finish(around, batch_rows=33)
    rows = len(_all(around))
    assert around.landed() == (rows, rows, rows)


def _all(around: Around) -> list[bytes]:
    return [value for held in around.log.records.values() for value in held]


def test_without_the_note_the_same_crash_doubles_rows(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would see, if a range were not repeated."""
    monkeypatch.setattr(sink, "cut_in", lambda note, committed: None)
    around.write(range(RECORDS))
    _crash(around, _Sink, "_land")
    _finish(around, batch_rows=70)
    rows, different, counted = around.landed()
    assert different == RECORDS
    assert rows > RECORDS
    assert counted == rows


def test_one_poison_record_among_hundreds_costs_only_itself(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    letters: list[tuple[int, str]] = []
    real = landing.Preparer._one_by_one

    def counting(self: Any, work: Any, numbers: Any) -> None:
        judged.extend(numbers)
        real(self, work, numbers)

    monkeypatch.setattr(landing.Preparer, "_one_by_one", counting)
    monkeypatch.setattr(
        DeadLetters,
        "deliver",
        lambda self, given: letters.extend((each.record.place.offset, each.reason) for each in given),
    )
    around.write(range(3 * RECORDS))
    held = around.log.records[Topic.STATUS, 0]
    held[200] = held[200][:-9]
    _finish(around)
    assert letters == [(200, "corrupt")]
    assert around.landed() == (3 * RECORDS - 1,) * 3
    # Both halves of the last few.
    assert len(judged) <= 64
