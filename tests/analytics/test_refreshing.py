"""The sink's refresher: when it works, and what a failure of it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from sinks.analytics import metrics
from sinks.analytics.refreshing import EVERY_S, SOON_S, Refresher
from sinks.analytics.rollups import HOURS_AT_ONCE
from tests.analytics.reporting import HOUR_MS, START, Message, database, land
from tests.analytics.world import ClickHouse


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    running = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server: ClickHouse) -> Iterator[Client]:
    with database(server, "refreshing") as opened:
        yield opened


def live(client: Client) -> int:
    return int(client.query("SELECT count() FROM live_hours").result_rows[0][0])


def test_hours_are_summed_once_an_interval_and_soon_again_while_there_are_more(
    server: ClickHouse, client: Client
) -> None:
    hours = HOURS_AT_ONCE + 3
    land(client, [Message(f"n{hour}", requested_at=START - hour * HOUR_MS) for hour in range(hours)])
    refresher = Refresher(f"{server.url}/{client.database}", settles_ms=0)
    for now, left in (
        (0.0, hours),
        (EVERY_S - 0.1, hours),
        (EVERY_S, 3),
        (EVERY_S + SOON_S - 0.1, 3),
        (EVERY_S + SOON_S, 0),
    ):
        refresher.between_batches(now)
        assert live(client) == left, now


def test_a_clickhouse_that_is_away_is_counted_and_asked_again_after_the_interval() -> None:
    refresher = Refresher("http://127.0.0.1:9")
    before = metrics.WAITS.labels("refresh")._value.get()
    for now in (0.0, EVERY_S, EVERY_S + SOON_S, 2 * EVERY_S):
        refresher.between_batches(now)
    assert metrics.WAITS.labels("refresh")._value.get() == before + 2
