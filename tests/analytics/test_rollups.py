"""Hourly sums: whatever comes in whatever order, before and after each refresh, reports equal a recount."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.analytics import rebuilding, rollups
from sinks.analytics.clickhouse import connect
from sinks.analytics.facts import BUCKET_RATIO, FACTS
from sinks.analytics.rebuilding import rebuild
from sinks.analytics.rollups import refresh
from tests.analytics.reporting import (
    ENDINGS,
    HOUR_MS,
    START,
    LookedUp,
    Message,
    Notification,
    Row,
    asked,
    carriers_told,
    database,
    dicts,
    land,
    standing,
    standing_notifications,
)
from tests.analytics.world import ClickHouse

# Of each example; the last two hours are cut by the window.
HOURS = 3
STATES = {
    "delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "failed",
    "unconfirmed": "unconfirmed",
    "suppressed": "suppressed",
    "sent": "sent",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    running = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server: ClickHouse) -> Iterator[Client]:
    with database(server, "rollups") as opened:
        yield opened


@pytest.fixture
def fresh(server: ClickHouse) -> Iterator[Client]:
    """A database of the test's own."""
    with database(server, f"fresh_{uuid.uuid4().hex}") as opened:
        yield opened


def version_of(run: str, number: int, version: int, start: int) -> list[Row]:
    """An outcome's rows: the same for every copy of the same version of the same notification."""
    fixed = random.Random(f"{run}:{number}")
    chance = random.Random(f"{run}:{number}:{version}")
    identity = f"{run}-{number}"
    requested = start + fixed.randrange(HOURS * HOUR_MS)
    about: dict[str, Any] = {
        "notification_id": identity,
        "version": version,
        "tenant": fixed.choice(["acme", "globex"]),
        "country": "DE",
        "carrier": chance.choice(["Telekom", "Vodafone"]),
        "category": fixed.choice(["otp", "marketing"]),
        "requested_at": requested,
    }
    status = chance.choice(list(STATES))
    looked_up = LookedUp(identity, chance.choice(["O2", ""]), requested, requested + version)
    # The request once more, in another hour, and perhaps to somebody else.
    another = start + (requested - start + HOUR_MS) % (HOURS * HOUR_MS)
    repeated = LookedUp(identity, "Lycamobile", another)
    rows: list[Row] = [Notification(state=STATES[status], final=status != "sent", reason=status[:3], **about)]
    # Known before, with or after the outcome it is about.
    rows += [looked_up] if chance.random() < 0.4 else []
    rows += [repeated] if chance.random() < 0.2 else []
    for attempt in range(1, 2 + version // 3):
        sent = requested + chance.randrange(1, 900_000) if chance.random() < 0.7 else None
        rows.append(
            Message(
                attempt=attempt,
                status=status,
                error_code=30007 if status in ("undelivered", "failed") else 0,
                segments=chance.randrange(1, 4),
                sent_at=sent,
                delivered_at=None if sent is None else sent + chance.randrange(-100, 90_000),
                **about,
            )
        )
    return rows


blocks = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=6), st.just("refresh")
    ),
    min_size=1,
    max_size=6,
)


def agree(client: Client, rows: list[Row], start: int) -> None:
    """The reports of a window that begins and ends within an hour equal what the rows say."""
    since, until = start + HOUR_MS // 3, start + HOURS * HOUR_MS - HOUR_MS // 3
    within = [row for row in rows if since <= getattr(row, "requested_at", 0) < until]
    messages = standing(row for row in within if isinstance(row, Message))
    notifications = standing_notifications(row for row in within if isinstance(row, Notification))
    told = carriers_told(rows)

    counted: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for one in messages:
        figures = counted[one.tenant, told.get(one.notification_id, one.carrier), one.category]
        figures["attempts"] += 1
        figures["segments"] += one.segments
        figures[one.ending] += 1
    report = asked(client, "deliverability", since, until, by=("tenant", "carrier", "category"))
    assert {
        row[:3]: Counter(
            {k: v for k, v in dict(zip(report.columns, row, strict=True)).items() if k in _COUNTS and v}
        )
        for row in report.rows
    } == counted

    buckets: Counter[tuple[str, str]] = Counter()
    first: dict[str, Message] = {}
    for one in messages:
        if one.sent_at is not None and one.delivered_at is not None:
            buckets["sent_to_delivered", one.carrier] += 1
        if one.sent_at is not None:
            first[one.notification_id] = one
    spans = dicts(asked(client, "latency", since, until, by=("tenant",)))
    assert sum(row["sent_to_delivered_count"] for row in spans) == buckets.total()
    assert sum(row["requested_to_sent_count"] for row in spans) == len(first)

    ends: Counter[tuple[str, str]] = Counter()
    delivered = 0
    for notification in notifications:
        if notification.state in ("delivered", "read"):
            delivered += 1
        else:
            ends[notification.state, notification.reason] += 1
    funnel = dicts(asked(client, "funnel", since, until))
    left: Counter[tuple[str, str]] = Counter()
    for row in funnel:
        if row["state"]:
            left[row["state"], row["reason"]] += row["lost"] + row["on_their_way"]
    assert left == ends
    assert [row["reached"] for row in funnel if row["stage"] == "delivered"] == [delivered][: len(funnel)]
    by_carrier = Counter(told.get(one.notification_id, one.carrier) for one in notifications)
    per_carrier = dicts(asked(client, "funnel", since, until, by=("carrier",)))
    assert {
        row["carrier"]: row["reached"]
        for row in per_carrier
        if not row["state"] and row["stage"] == "requested"
    } == by_carrier


_COUNTS = ("attempts", "segments", *ENDINGS.values())


@settings(max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks)
def test_after_any_inserts_in_any_order_and_any_refreshes_reports_equal_a_recount(
    client: Client, steps: list[Any]
) -> None:
    run = uuid.uuid4().hex
    # Hours of its own, so that one database does for all.
    start = START - HOURS * HOUR_MS * (1 + int(run[:6], 16) % 1000)
    client.command("TRUNCATE TABLE messages_by_hour")
    client.command("TRUNCATE TABLE notifications_by_hour")
    client.command("TRUNCATE TABLE refreshed_hours")
    rows: list[Row] = []
    for step in steps:
        if step == "refresh":
            refresh(client, settles_ms=0)
        else:
            block = [row for number, version in step for row in version_of(run, number, version, start)]
            land(client, block)
            rows += block
        agree(client, rows, start)
    refresh(client, settles_ms=0)
    agree(client, rows, start)


def some(run: str, count: int = 40) -> list[Row]:
    return [row for number in range(count) for row in version_of(run, number, 1 + number % 5, START)]


def live(client: Client) -> int:
    return int(client.query("SELECT count() FROM live_hours").result_rows[0][0])


def test_a_refresh_settles_the_hours_and_a_second_one_has_nothing_to_do(fresh: Client) -> None:
    land(fresh, some("a"))
    assert live(fresh) == HOURS
    assert refresh(fresh, settles_ms=0) == rollups.Refreshed(HOURS, 0)
    assert live(fresh) == 0
    assert refresh(fresh, settles_ms=0) == rollups.Refreshed(0, 0)


def test_an_hour_touched_a_moment_ago_is_left_until_every_insert_of_then_is_visible(fresh: Client) -> None:
    land(fresh, some("a"))
    assert refresh(fresh, settles_ms=60_000) == rollups.Refreshed(0, HOURS)
    agree(fresh, some("a"), START)


def test_a_settled_hour_is_read_from_its_sums_alone(fresh: Client) -> None:
    rows = some("a")
    land(fresh, rows)
    refresh(fresh, settles_ms=0)
    # Whole hours only: of a cut one the rows are read.
    before = asked(fresh, "deliverability", START, START + HOURS * HOUR_MS)
    fresh.command("TRUNCATE TABLE messages_by_hour")
    assert asked(fresh, "deliverability", START, START + HOURS * HOUR_MS) == before
    assert sum(row["attempts"] for row in dicts(before)) == len([r for r in rows if isinstance(r, Message)])


@pytest.mark.parametrize("step", range(5))
def test_a_crash_between_any_two_steps_of_a_refresh_shows_in_no_figure(
    fresh: Client, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands of a refresh: one per hourly table, the one that makes them stand, and then none."""
    refresh(fresh, settles_ms=0)
    first = some("a")
    land(fresh, first)
    refresh(fresh, settles_ms=0)
    second = [row for number in range(40) for row in version_of("a", number, 6, START)]
    land(fresh, second)
    done: list[str] = []

    def crashing(on: Client, sql: str) -> None:
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(sql)
        on.command(sql)

    with monkeypatch.context() as patched:
        patched.setattr(rollups, "command", crashing)
        try:
            refresh(fresh, settles_ms=0)
        except KeyboardInterrupt:
            assert len(done) == step
        else:
            assert len(done) == len(FACTS) + 1
    agree(fresh, first + second, START)
    refresh(fresh, settles_ms=0)
    assert live(fresh) == 0
    agree(fresh, first + second, START)


def test_refreshers_at_once_beside_a_writer_leave_exact_figures(fresh: Client, server: ClickHouse) -> None:
    refresh(fresh, settles_ms=0)
    url = f"{server.url}/{fresh.database}"
    errors: list[BaseException] = []
    done = threading.Event()

    def refreshing() -> None:
        mine = connect(url)
        try:
            while not done.is_set():
                # Long enough for an insert here to be visible.
                refresh(mine, settles_ms=300)
        except BaseException as error:
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=refreshing) for _ in range(2)]
    for thread in threads:
        thread.start()
    rows: list[Row] = []
    try:
        for version in range(1, 7):
            block = [row for number in range(20) for row in version_of("a", number, version, START)]
            land(fresh, block)
            rows += block
            agree(fresh, rows, START)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    refresh(fresh, settles_ms=0)
    agree(fresh, rows, START)


def test_what_landed_before_there_were_hourly_tables_is_in_them_after_the_first_refresh(
    fresh: Client,
) -> None:
    rows = some("a")
    land(fresh, rows)
    for table in ("messages_by_hour", "notifications_by_hour", "sends_by_person", "touched_hours"):
        fresh.command(f"TRUNCATE TABLE {table}")
    refresh(fresh, settles_ms=0)
    agree(fresh, rows, START)


def test_what_landed_long_before_there_were_hourly_tables_gets_there_some_days_at_a_time(
    fresh: Client,
) -> None:
    days = 2 * rebuilding.DAYS_AT_ONCE + 1
    # With gaps, which cost nothing.
    rows = [Message(f"n{day}", requested_at=START - 3 * day * rebuilding.DAY_MS) for day in range(days)]
    land(fresh, rows)
    fresh.command("TRUNCATE TABLE messages_by_hour")
    there = []
    for _ in range(3):
        there.append((refresh(fresh, settles_ms=0).behind, len(content(fresh, "messages_by_hour"))))
    assert there == [(True, 4), (True, 8), (False, 9)]
    assert not refresh(fresh, settles_ms=0).behind


def test_a_rebuild_of_some_days_leaves_the_others_alone(fresh: Client) -> None:
    rows = [Message(f"n{hour}", requested_at=START + hour * HOUR_MS) for hour in (0, 1, 2, 30, 60)]
    land(fresh, rows)
    refresh(fresh, settles_ms=0)
    fresh.command("TRUNCATE TABLE messages_by_hour")
    told: list[str] = []
    assert rebuild(fresh, START + HOUR_MS, START + 31 * HOUR_MS, told.append) == len(told) == len(set(told))
    found = fresh.query("SELECT notification_id FROM messages_by_hour FINAL ORDER BY ALL").result_rows
    assert [name for (name,) in found] == ["n1", "n2", "n30"]


def test_a_rebuild_makes_the_same_of_the_raw_tables(fresh: Client) -> None:
    rows = some("a")
    land(fresh, rows)
    refresh(fresh, settles_ms=0)
    tables = ("messages_by_hour", "notifications_by_hour", "sends_by_person", *(f.table for f in FACTS))
    before = {table: content(fresh, table) for table in tables}
    for table in tables:
        fresh.command(f"TRUNCATE TABLE {table}")
    rebuild(fresh)
    agree(fresh, rows, START)
    refresh(fresh, settles_ms=0)
    assert {table: content(fresh, table) for table in tables} == before


def content(client: Client, table: str) -> list[tuple[Any, ...]]:
    read = f"EXCEPT (generation) FROM {table}" if table.startswith("hourly") else f"FROM {table} FINAL"
    sql = f"SELECT * {read}"
    return sorted((tuple(row) for row in client.query(sql).result_rows), key=repr)


def test_generations_that_no_longer_stand_are_deleted(fresh: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "_ABANDONED_US", 0)
    for version in range(1, 5):
        land(fresh, [row for number in range(20) for row in version_of("a", number, version, START)])
        refresh(fresh, settles_ms=0)
    for fact in FACTS:
        generations = fresh.query(
            f"SELECT hour, uniqExact(generation) AS n FROM {fact.table} GROUP BY hour HAVING n > 2"  # noqa: S608
        )
        assert generations.result_rows == [], fact.table


def test_the_view_deliverability_says_what_the_report_says_settled_or_not(fresh: Client) -> None:
    land(fresh, some("a"))
    sql = "SELECT sum(attempts), sum(delivered), sum(segments), sum(open) FROM deliverability"
    before = fresh.query(sql).result_rows
    refresh(fresh, settles_ms=0)
    after = fresh.query(sql).result_rows
    report = dicts(asked(fresh, "countries", START, START + HOURS * HOUR_MS))
    told = tuple(sum(row[name] for row in report) for name in ("attempts", "delivered", "segments", "open"))
    assert [tuple(row) for row in before] == [tuple(row) for row in after] == [told]


@pytest.mark.parametrize("settled", [False, True], ids=["live", "settled"])
def test_a_look_up_overrules_the_prefix_in_every_figure_by_carrier(fresh: Client, settled: bool) -> None:
    about: dict[str, Any] = {"status": "delivered", "sent_at": START + 100, "delivered_at": START + 300}
    rows: list[Row] = [Message(key, **about) for key in ("told", "ported", "unknown", "failed")]
    rows += [Notification(key) for key in ("told", "ported", "unknown", "failed")]
    land(fresh, rows)
    if settled:
        refresh(fresh, settles_ms=0)
    land(
        fresh,
        [
            LookedUp("told", "O2"),
            LookedUp("ported", "O2"),
            LookedUp("ported", "Vodafone", valid_from=START + 1),
            # The provider knows no carrier of it.
            LookedUp("failed", ""),
        ],
    )
    if settled:
        assert live(fresh) == 1, "a look-up touches the hour of what it is about"
        refresh(fresh, settles_ms=0)
        assert live(fresh) == 0
    expected = {("O2", "lookup"): 1, ("Vodafone", "lookup"): 1, ("Telekom", "prefix"): 2}
    by = ("carrier", "carrier_source")
    assert {row[:2]: row[2] for row in asked(fresh, "deliverability", by=by).rows} == expected
    latencies = dicts(asked(fresh, "latency", by=by))
    assert {
        (row["carrier"], row["carrier_source"]): row["sent_to_delivered_count"] for row in latencies
    } == expected
    funnel = dicts(asked(fresh, "funnel", by=("carrier",)))
    assert {row["carrier"]: row["reached"] for row in funnel if row["stage"] == "delivered"} == {
        "O2": 1, "Vodafone": 1, "Telekom": 2,
    }  # fmt: skip
    for view in ("deliverability", "attributed_messages"):
        count = "sum(attempts)" if view == "deliverability" else "count()"
        told = fresh.query(f"SELECT carrier, carrier_source, {count} FROM {view} GROUP BY ALL")  # noqa: S608
        assert {tuple(row[:2]): row[2] for row in told.result_rows} == expected, view


@pytest.mark.parametrize("settled", [False, True], ids=["live", "settled"])
@pytest.mark.parametrize("later_ms", [1, HOUR_MS], ids=["the same hour", "another hour"])
def test_the_look_up_for_a_repeat_to_somebody_else_changes_nothing(
    fresh: Client, settled: bool, later_ms: int
) -> None:
    for key in ("told", "untold"):
        land(fresh, [Message(key, sent_at=START, delivered_at=START + 100), Notification(key)])
        land(fresh, [LookedUp(key, "Lycamobile", START + later_ms, valid_from=START + later_ms)])
    land(fresh, [LookedUp("told", "O2")])
    if settled:
        refresh(fresh, settles_ms=0)
    expected = {("O2", "lookup"): 1, ("Telekom", "prefix"): 1}
    asked_of = {"by": ("carrier", "carrier_source"), "until": START + 2 * HOUR_MS}
    assert {row[:2]: row[2] for row in asked(fresh, "deliverability", **asked_of).rows} == expected
    funnel = dicts(asked(fresh, "funnel", by=("carrier",), until=START + 2 * HOUR_MS))
    assert {row["carrier"]: row["reached"] for row in funnel if row["stage"] == "delivered"} == {
        "O2": 1, "Telekom": 1,
    }  # fmt: skip
    for view in ("deliverability", "attributed_messages"):
        count = "sum(attempts)" if view == "deliverability" else "count()"
        told = fresh.query(f"SELECT carrier, carrier_source, {count} FROM {view} GROUP BY ALL")  # noqa: S608
        assert {tuple(row[:2]): row[2] for row in told.result_rows} == expected, view


def test_the_endings_of_the_two_views_are_the_same(fresh: Client) -> None:
    land(fresh, [Message(f"n{number}", status=status) for number, status in enumerate(ENDINGS)])
    ours = fresh.query("SELECT status, ending FROM messages_by_hour ORDER BY status").result_rows
    theirs = fresh.query("SELECT status, ending FROM message_endings ORDER BY status").result_rows
    assert [tuple(row) for row in ours] == [tuple(row) for row in theirs] == sorted(ENDINGS.items())


def test_every_latency_is_within_a_fortieth_of_its_bucket(fresh: Client) -> None:
    spans = [1, 2, 3, 10, 99, 1_234, 59_999, 86_400_000, 40_000_000_000]
    land(
        fresh,
        [Message(f"n{span}", sender=str(span), sent_at=START, delivered_at=START + span) for span in spans],
    )
    refresh(fresh, settles_ms=0)
    found = fresh.query(
        "SELECT sender, arrayJoin(mapKeys(latencies)) FROM hourly_latencies WHERE span = 'sent_to_delivered'"
    ).result_rows
    assert {int(sender): BUCKET_RATIO**bucket for sender, bucket in found} == {
        span: pytest.approx(span, rel=0.025) for span in spans
    }
