"""The month's budget is never exceeded, whoever asks when, crashes or comes again."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics.clickhouse import connect
from sinks.analytics.migrate import migrate
from sinks.carriers.budget import Budget, granted, month_of
from tests.analytics.world import ClickHouse


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOVEMBER, DECEMBER = _ms("2026-11-30T23:59:59"), _ms("2026-12-01T00:00:01")


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


def _process(rows: list[int], got: list[int], asked: int, budget: int) -> Generator[None, None, None]:
    """One reservation, as budget.py makes it, stopping before each thing others can see or do."""
    yield
    if sum(rows) >= budget:
        return
    yield
    rows.append(asked)
    yield
    mine = granted(asked, sum(rows), budget)
    yield
    if mine < asked:
        rows.append(mine - asked)
    got.append(mine)


@given(
    budget=st.integers(0, 30),
    asked=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    turns=st.lists(st.integers(0, 5), max_size=60),
    finish=st.booleans(),
)
def test_no_interleaving_and_no_crash_grants_more_than_the_budget(
    budget: int, asked: list[int], turns: list[int], finish: bool
) -> None:
    rows: list[int] = []
    got: list[int] = []
    processes = [_process(rows, got, units, budget) for units in asked]
    for turn in turns:
        next(processes[turn % len(processes)], None)
    if finish:
        for process in processes:
            for _ in process:
                pass
    # Those that did not finish have crashed where they stood.
    assert sum(got) <= budget
    assert sum(got) <= sum(rows)


@given(budget=st.integers(1, 30), asked=st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_asked_for_one_after_the_other_the_whole_budget_is_granted(budget: int, asked: list[int]) -> None:
    rows: list[int] = []
    got: list[int] = []
    for units in asked:
        for _ in _process(rows, got, units, budget):
            pass
    assert sum(got) == min(budget, sum(asked))


def test_the_month_is_the_calendars_in_utc() -> None:
    assert (month_of(NOVEMBER), month_of(DECEMBER)) == ("2026-11", "2026-12")


def test_processes_and_their_successors_share_one_budget(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/shared"
    migrate(url)
    used: list[int] = []

    def work() -> None:
        client = connect(url)
        try:
            for _ in range(3):  # a process and two that came after its crash
                budget = Budget(lambda: client, 25)
                while budget.held(NOVEMBER, 4):
                    budget.spend()
                    used.append(1)
                    if len(used) % 7 == 0:
                        break
        finally:
            client.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < len(used) <= 25


def test_a_new_month_has_a_budget_of_its_own_and_inherits_nothing(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/months"
    migrate(url)
    client = connect(url)
    try:
        budget = Budget(lambda: client, 3)
        assert budget.held(NOVEMBER, 10) == 3
        assert budget.held(DECEMBER, 2) == 2
        rows = client.query(
            "SELECT month, sum(units) FROM lookup_reservations FINAL GROUP BY month ORDER BY month"
        ).result_rows
        assert [tuple(row) for row in rows] == [("2026-11", 3), ("2026-12", 2)]
    finally:
        client.close()


def test_a_unit_is_spent_before_it_is_used_and_given_back_when_it_was_not(clickhouse: ClickHouse) -> None:
    url = clickhouse.url + "/units"
    migrate(url)
    client = connect(url)
    try:
        budget = Budget(lambda: client, 1)
        with pytest.raises(ValueError, match="reserve"):
            budget.spend()
        assert budget.held(NOVEMBER, 5) == 1
        budget.spend()
        assert budget.held(NOVEMBER, 5) == 0
        budget.unspend()
        assert budget.held(NOVEMBER, 5) == 1
    finally:
        client.close()
