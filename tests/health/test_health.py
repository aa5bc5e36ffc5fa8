"""From the table `messages` to the topic `route.health`, between real servers."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.records import RouteError
from schemas.vocabulary import RouteStatus
from sinks.analytics.clickhouse import connect
from sinks.health import metrics
from sinks.health.decide import Counts, Policy
from sinks.health.figures import figures
from sinks.health.look import look
from sinks.health.telling import Figures, Route, Spans, record, route_of, spans, state_of
from tests.console.command_line import run
from tests.health.world import WAIT_S, World, failed, land, message, silent, watching, world
from tests.waiting import wait_until

MINUTE = 60_000
POLICY = Policy()
NOW = time.time_ns() // 1_000_000
ACME = Route("acme", "+14155550100", "Telekom", "DE")


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("health")) as servers:
        yield servers


@pytest.fixture(autouse=True)
def _no_messages_of_others(around: World) -> None:
    with closing(connect(around.clickhouse.url)) as client:
        client.command("TRUNCATE TABLE messages")


def counted(around: World, at: Spans) -> dict[Route, Figures]:
    with closing(connect(around.clickhouse.url)) as client:
        return figures(client, at)


# -- figures ---------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_counting_by_hand(around: World, seed: int) -> None:
    chance = random.Random(seed)
    at = spans(NOW, POLICY)
    made = []
    window: dict[str, Counter[str]] = {}
    before: dict[str, Counter[str]] = {}
    errors: Counter[int] = Counter()
    for number in range(500):
        taken = chance.randrange(at.before - 10 * MINUTE, NOW)
        tenant = chance.choice(["acme", "globex"])
        kind = chance.choice(["delivered", "late", "failed", "silent"])
        code = chance.choice([30003, 30007])
        if kind == "failed":
            made.append(failed(number, taken, code, tenant=tenant))
        elif kind == "silent":
            made.append(silent(number, taken, tenant=tenant))
        else:
            after = chance.randrange(0, at.grace_ms + 1) + (at.grace_ms + 1 if kind == "late" else 0)
            made.append(message(number, taken, tenant=tenant, delivered_at=taken + after))
        counts = "silent" if kind == "late" else kind
        if at.start <= taken < at.end:
            window.setdefault(tenant, Counter())[counts] += 1
            errors[code] += kind == "failed" and tenant == "acme"
        elif at.before <= taken < at.start:
            before.setdefault(tenant, Counter())[counts] += 1
    land(around.clickhouse.url, made)
    found = counted(around, at)
    assert {route.tenant for route in found} == before.keys()
    for route, figure in found.items():
        for counts_of, by_hand in ((figure.counts, window), (figure.before, before)):
            count = by_hand.get(route.tenant, Counter())
            assert counts_of == Counts(count["delivered"], count["failed"], count["silent"])
    assert {each.code: each.count for each in found[ACME].errors} == {c: n for c, n in errors.items() if n}


def test_what_says_nothing_of_the_route_is_not_counted(around: World) -> None:
    at = spans(NOW, POLICY)
    then = at.end - MINUTE
    land(
        around.clickhouse.url,
        [
            message(1, then),
            failed(2, then, 21610, error_class="opt_out"),
            failed(3, then, 30005, error_class="bad_number"),
            # Waits for its turn with us.
            silent(4, then, status="queued", accepted_at=None, sent_at=None),
            silent(5, then, status="suppressed", accepted_at=None, sent_at=None, ended_at=then),
        ],
    )
    assert counted(around, at)[ACME].counts == Counts(1, 0, 0)


def test_a_call_that_was_refused_counts_as_failed(around: World) -> None:
    at = spans(NOW, POLICY)
    then = at.end - MINUTE
    refused = failed(
        1, then, 21606, status="rejected", error_class="configuration", accepted_at=None, ended_at=then
    )
    land(around.clickhouse.url, [refused])
    assert counted(around, at)[ACME] == Figures(Counts(0, 1, 0), Counts(), (RouteError(code=21606, count=1),))


# -- a look ----------------------------------------------------------------------------------------------

FINE = Figures(Counts(95, 5, 0), Counts(9_500, 500, 0))
BROKEN = Figures(Counts(2, 90, 8), Counts(9_500, 500, 0), (RouteError(code=30007, count=90),))


def test_a_change_carries_its_evidence() -> None:
    first = look({}, {ACME: FINE}, NOW, POLICY)
    second = look(first.states, {ACME: BROKEN}, NOW + MINUTE, POLICY)
    third = look(second.states, {ACME: BROKEN}, NOW + 2 * MINUTE, POLICY)
    assert second.told == ()
    (told,) = third.told
    assert (told.status, told.previous, told.reason) == (RouteStatus.DOWN, RouteStatus.HEALTHY, "failures")
    assert (told.counted, told.delivered, told.failed, told.silent) == (100, 2, 90, 8)
    assert (told.rate, told.baseline, told.baseline_counted) == (0.02, 0.95, 10_000)
    assert told.rate_low is not None
    assert told.rate_high is not None
    assert told.rate_low < 0.02 < told.rate_high < 0.1
    assert told.errors == (RouteError(code=30007, count=90),)
    assert told.window_until == NOW + 2 * MINUTE - POLICY.grace_ms


def test_the_same_look_made_twice_tells_the_same() -> None:
    states = look({}, {ACME: FINE}, NOW, POLICY).states
    other = ACME._replace(tenant="globex")
    one = look(states, {ACME: BROKEN, other: FINE}, NOW + MINUTE, POLICY)
    two = look(states, {other: FINE, ACME: BROKEN}, NOW + MINUTE, POLICY)
    assert one == two


def test_a_restart_knows_from_the_topic_what_it_knew() -> None:
    for status in RouteStatus:
        before = look({}, {ACME: FINE}, NOW, POLICY).states[ACME]._replace(status=status)
        told = record(ACME, before, FINE, spans(NOW, POLICY), NOW)
        assert (route_of(told), state_of(told)) == (ACME, before)


def test_an_event_is_the_same_while_the_status_is_and_another_afterwards() -> None:
    states = look({}, {ACME: FINE}, NOW, POLICY).states
    (again,) = look(states, {ACME: FINE}, NOW + POLICY.again_ms, POLICY).told
    (first,) = look({}, {ACME: FINE}, NOW, POLICY).told
    assert again.event_id == first.event_id
    assert again.at != first.at
    down = look(states, {ACME: BROKEN}, NOW + MINUTE, POLICY).states
    (changed,) = look(down, {ACME: BROKEN}, NOW + 2 * MINUTE, POLICY).told
    assert changed.event_id != first.event_id
    assert changed.route == first.route == ACME.id


# -- between servers -------------------------------------------------------------------------------------


def a_day(tenant: str, bad: bool) -> list:  # type: ignore[type-arg]
    """A good day, and a last quarter of an hour that is good or not; as seen for the next ten minutes."""
    usual = [message(n, NOW - 60 * MINUTE - n * 1_000, tenant=tenant) for n in range(400)]
    make = failed if bad else message
    late = [make(n, NOW - 6 * MINUTE, tenant=tenant) for n in range(1_000, 1_100)]
    return [*usual, *late]


def test_a_broken_route_is_told_by_one_of_two_and_remembered_by_the_next(
    around: World, tmp_path: Path
) -> None:
    land(around.clickhouse.url, [*a_day("fine", False), *a_day("broken", True)])
    with watching(around.config(), processes=2) as said:
        assert said == ["looks at the routes", "stands by"]
        wait_until(
            lambda: around.told().get("broken") is not None and around.told()["broken"].status == "down",
            WAIT_S,
            "the broken route to be down",
        )
    first = around.told()
    assert first["fine"].status == "healthy"
    assert first["broken"].errors == (RouteError(code=30007, count=100),)
    with watching(around.config(policy=Policy(again_ms=1))):
        wait_until(lambda: around.told()["broken"].at > first["broken"].at, WAIT_S, "it to be told again")
    second = around.told()
    assert second["broken"].event_id == first["broken"].event_id
    assert second["broken"].since == first["broken"].since
    shown_on_the_command_line(around, tmp_path)


def shown_on_the_command_line(around: World, tmp_path: Path) -> None:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": around.kafka.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": around.registry_url,
    }
    table = run("routes", folder=tmp_path, env=env)
    assert table.code == 0, table.stderr
    assert table.stdout.index("broken") < table.stdout.index("fine")
    assert "30007 × 100" in table.stdout
    (row,) = json.loads(run("routes", "--json", "--status", "down", folder=tmp_path, env=env).stdout)
    assert (row["tenant"], row["counted"], row["failed"]) == ("broken", 100, 100)
    nothing = run("routes", "--tenant", "nobody", folder=tmp_path, env=env)
    assert "No route is known" in nothing.stdout


def test_without_clickhouse_nothing_is_told_and_nothing_ends(around: World) -> None:
    before = around.told()
    away = around.config(clickhouse_url="http://127.0.0.1:9", group="without-clickhouse")
    missed = metrics.MISSED.labels("ClickHouseAway")._value
    looks = missed.get()
    with watching(away) as said:
        assert said == ["looks at the routes"]
        wait_until(lambda: missed.get() >= looks + 2, WAIT_S, "it to try again")
    assert around.told() == before
