"""Landing again what the topics hold between two times."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.records import Record
from schemas.topics import Topic
from sinks.analytics.backfill import FILLS, backfill, topics_of
from sinks.analytics.between import Span, Window, spans
from sinks.analytics.clickhouse import connect
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import LANDINGS, Place
from sinks.analytics.tables import TABLES
from tests.analytics import examples
from tests.analytics.world import KEY, World, world
from tests.console.command_line import Ran, run

HOUR = 3_600_000
TABLE_NAMES = ("status_events", "messages", "notifications", "dead_letters")
_days = itertools.count(2)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all: each test has a day of its own, so that it finds its own records alone."""
    with world(tmp_path_factory.mktemp("backfill")) as servers:
        migrate(servers.clickhouse.url)
        yield servers


@pytest.fixture
def then(around: World) -> int:
    with closing(connect(around.clickhouse.url)) as client:
        for table in TABLE_NAMES:
            client.command(f"TRUNCATE TABLE {table}")
    return examples.NOW - next(_days) * 24 * HOUR


def three_hours(then: int) -> Window:
    return Window(then, then + 3 * HOUR)


def write_at(around: World, topic: Topic, at: int, record: Record | bytes, partition: int = 0) -> None:
    value = record if isinstance(record, bytes) else around.codec.encode(topic, record)
    around.producer.produce(topic, value, b"key", partition, timestamp=at)
    assert around.producer.flush(30) == 0


def hourly_statuses(around: World, then: int, hours: int = 6) -> None:
    for hour in range(hours):
        at = then + (hour - 1) * HOUR
        write_at(around, Topic.STATUS, at, examples.status(str(hour), received_at=at), hour % 2)


def landed(around: World) -> list[str]:
    rows = around.clickhouse.query("SELECT event_id FROM status_events FINAL ORDER BY event_id")
    return [str(event) for (event,) in rows]


def test_only_the_records_between_the_two_times_land_and_no_committed_offset_moves(
    around: World, then: int
) -> None:
    hourly_statuses(around, then)
    window = three_hours(then)
    read = spans(around.kafka, [Topic.STATUS], window, look_up=False)
    done = backfill(around.config(), read, window)
    assert landed(around) == ["e1", "e2", "e3"]
    assert (done.records, done.rows) == (3, {"status_events": 3})
    assert around.committed(Topic.STATUS) == 0


def test_a_second_back_fill_changes_nothing_whatever_its_batches(around: World, then: int) -> None:
    everything = Window(then - 2 * HOUR, then + 9 * HOUR)
    hourly_statuses(around, then)
    for number in range(4):
        write_at(around, Topic.OUTCOMES, then, examples.outcome(str(number)), number)
    topics = (Topic.STATUS, Topic.OUTCOMES)
    queries = [f"SELECT * FROM {t} FINAL ORDER BY ALL" for t in ("status_events", "messages")]  # noqa: S608
    found = []
    for batch_rows in (50_000, 3, 1):
        config = around.config(batch_rows=batch_rows)
        backfill(config, spans(config.kafka, topics, everything, look_up=False), everything)
        found.append([around.clickhouse.query(query) for query in queries])
    assert [len(rows) for rows in found[0]] == [6, 4]
    assert found[0] == found[1] == found[2]


def test_only_the_named_tables_are_filled(around: World, then: int) -> None:
    write_at(around, Topic.OUTCOMES, then, examples.outcome())
    window = three_hours(then)
    tables = ("messages",)
    read = spans(around.kafka, topics_of(tables), window, look_up=False)
    backfill(around.config(), read, window, tables)
    assert (around.count("messages"), around.count("notifications")) == (1, 0)


def test_what_cannot_be_read_becomes_a_dead_letter_and_the_rest_lands(around: World, then: int) -> None:
    write_at(around, Topic.STATUS, then, b"not avro")
    write_at(around, Topic.STATUS, then, examples.status("good", received_at=then))
    window = three_hours(then)
    read = spans(around.kafka, [Topic.STATUS], window, look_up=False)
    done = backfill(around.config(), read, window)
    assert (done.records, done.given_up, landed(around)) == (2, 1, ["egood"])
    assert len(around.read(Topic.DEAD_LETTERS)) == 1


@pytest.mark.broker
def test_a_real_broker_looks_the_times_up(tmp_path: Path) -> None:
    then = examples.NOW - 24 * HOUR
    window = three_hours(then)
    with world(tmp_path, real_broker=True) as around:
        hourly_statuses(around, then)
        migrate(around.clickhouse.url)
        read = spans(around.kafka, [Topic.STATUS], window)
        # Even hours on partition 0, odd ones on partition 1; the window is hours 1, 2 and 3.
        assert [(s.first, s.end) for s in read if s.offsets] == [(1, 2), (0, 2)]
        backfill(around.config(), read, window)
        assert landed(around) == ["e1", "e2", "e3"]
        later = Window(then + 50 * HOUR, then + 60 * HOUR)
        assert [s.offsets for s in spans(around.kafka, [Topic.STATUS], later)] == [0, 0, 0, 0]


def console(around: World, tmp_path: Path, *arguments: str) -> Ran:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": around.kafka.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": around.registry_url,
        "CLICKHOUSE_URL": f"{around.clickhouse.url}/console",
        "PII_HASH_KEY": "k" * 32,
    }
    return run("analytics", *arguments, folder=tmp_path, env=env)


def test_on_the_command_line_tables_are_made_and_filled(around: World, tmp_path: Path) -> None:
    write_at(around, Topic.STATUS, examples.NOW, examples.status())
    planned = json.loads(console(around, tmp_path, "migrate", "--dry-run", "--json").stdout)
    assert planned["migrations"][0]["statements"][0]["concerns"] == "create table status_events"
    assert "ORDER BY (notification_id" in planned["migrations"][0]["statements"][0]["sql"]
    shown = console(around, tmp_path, "migrate", "--dry-run")
    assert "-- 0001_events.sql: create table status_events" in shown.stdout
    assert around.clickhouse.query("SELECT count() FROM system.databases WHERE name = 'console'") == [(0,)]
    assert "applied 0001_events.sql" in console(around, tmp_path, "migrate").stdout
    assert "is up to date" in console(around, tmp_path, "migrate").stdout
    span = ("backfill", "--since", "2h", "--table", "status_events")
    dry = json.loads(console(around, tmp_path, *span, "--dry-run", "--json").stdout)
    assert {(s["topic"], s["looked_up"]) for s in dry["spans"]} == {("twilio.status", False)}
    assert around.count("console.status_events") == 0
    assert json.loads(console(around, tmp_path, *span, "--json").stdout)["rows"] == {"status_events": 1}
    assert around.count("console.status_events") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "--since 'yesterday' is no time"),
        (("--since", "1h", "--until", "2h"), "--since must be before --until"),
        (("--since", "1h", "--table", "nothing"), "no table nothing is filled from Kafka"),
    ],
)
def test_a_back_fill_that_makes_no_sense_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:9",
        "CLICKHOUSE_URL": "http://127.0.0.1:9",
        "PII_HASH_KEY": "k" * 32,
    }
    ran = run("analytics", "backfill", *arguments, folder=tmp_path, env=env)
    assert ran.code == 2
    assert said in ran.stderr


def test_every_topic_that_lands_is_known_with_all_the_tables_it_fills(around: World) -> None:
    made = {
        Topic.STATUS: examples.status(),
        Topic.ATTEMPTS: examples.attempt_event(),
        Topic.REQUESTS: examples.request(),
        Topic.INBOUND: examples.inbound(),
        Topic.CONSENT_CHANGES: examples.consent(),
        Topic.DEAD_LETTERS: examples.dead_letter(),
        Topic.OUTCOMES: examples.outcome(),
    }
    assert FILLS.keys() == {Topic(name) for name in LANDINGS} == made.keys()
    for topic, record in made.items():
        value = around.codec.encode(topic, record)
        rows = LANDINGS[topic](around.codec, value, Place(topic, 0, 0), Privacy(KEY))
        assert {type(row) for row in rows} == set(FILLS[topic]), topic
    assert {TABLES[each] for types in FILLS.values() for each in types} == set(TABLES.values())


def test_a_span_of_nothing_has_no_records() -> None:
    assert Span("t", 0, 5, 5).offsets == 0


def test_a_table_that_no_topic_fills_is_refused() -> None:
    with pytest.raises(AnalyticsError, match="there are: attempts, consent_changes"):
        topics_of(["messages", "deliverability"])
