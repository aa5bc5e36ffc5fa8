"""Asking the provider: what failed is asked again within bounds, what was answered is kept, what is due is
paid."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sinks.analytics.errors import ClickHouseAway
from sinks.analytics.migrate import migrate
from sinks.carriers.asking import FIRST_WAIT_S, KEPT_EVERY, TRIES, Asking
from sinks.carriers.budget import Budget
from sinks.carriers.lines import Answer, Due, Line, NotNow, Observation
from sinks.carriers.store import Store
from tests.analytics.world import ClickHouse

NOW = 1_800_000_000_000
LINE = Line("Telekom", "262", "01", "mobile", "DE", 0)
AWAY, BROKEN = NotNow("nobody there", False), NotNow("HTTP 500", True)


class Scripted:
    """A provider that answers what it was told, then with a line."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, number: str) -> Answer:
        self.asked.append(number)
        return self.answers.pop(0) if self.answers else LINE

    async def close(self) -> None:
        """Nothing to close."""


class World:
    """One asking process on a database of its own."""

    def __init__(self, url: str, provider: Scripted, per_month: int) -> None:
        self.store = Store(url)
        self.waits: list[float] = []
        self._runner = asyncio.Runner()
        budget = Budget(self.store.client, per_month)
        self.asking = Asking(self.store, budget, provider, self._runner, 1e9, self.waits.append, lambda: NOW)

    def kept(self, *numbers: str) -> set[str]:
        return set(self.store.known(numbers))

    def reserved(self) -> int:
        found = self.store.client().query("SELECT sum(units) FROM lookup_reservations FINAL")
        return int(found.result_rows[0][0])

    def close(self) -> None:
        self.store.close()
        self._runner.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    clickhouse = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    clickhouse.start()
    migrate(clickhouse.url)
    yield clickhouse
    clickhouse.stop()


@pytest.fixture
def provider() -> Scripted:
    return Scripted()


@pytest.fixture
def world(server: ClickHouse, provider: Scripted) -> Iterator[World]:
    made = World(server.url, provider, per_month=10_000)
    for table in ("recipient_carriers", "lookup_reservations", "recipient_links"):
        made.store.client().command(f"TRUNCATE TABLE {table}")
    yield made
    made.close()


def _due(*numbers: str) -> list[Due]:
    """The hash of a number is the number here."""
    return [Due(number, number, NOW, None) for number in numbers]


def test_what_was_never_asked_costs_nothing_and_is_asked_again(world: World, provider: Scripted) -> None:
    provider.answers = [AWAY] * 5
    world.asking.ask(_due("a"))
    assert world.kept("a") == {"a"}
    assert world.reserved() == 1
    assert world.waits[:2] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S]


def test_what_may_have_been_charged_is_paid_each_time_and_given_up_after_some_tries(
    world: World, provider: Scripted
) -> None:
    provider.answers = [BROKEN] * TRIES
    world.asking.ask(_due("a", "b"))
    assert provider.asked == ["a"] * TRIES + ["b"]
    assert world.kept("a", "b") == {"b"}
    assert world.reserved() == TRIES + 1


def test_the_provider_says_how_long_to_wait(world: World, provider: Scripted) -> None:
    provider.answers = [NotNow("throttled", False, after_s=17.0)]
    world.asking.ask(_due("a"))
    assert world.waits == [17.0]


def test_without_budget_the_provider_is_not_asked(
    server: ClickHouse, world: World, provider: Scripted
) -> None:
    poor = World(server.url, provider, per_month=2)
    try:
        poor.asking.ask(_due("a", "b", "c"))
        assert provider.asked == ["a", "b"]
        assert poor.kept("a", "b", "c") == {"a", "b"}
    finally:
        poor.close()


def test_answers_are_kept_while_more_are_asked_for(
    world: World, provider: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"n{each}" for each in range(KEPT_EVERY + 1)]

    async def crash_at_the_last(number: str) -> Answer:
        if number == numbers[-1]:
            raise KeyboardInterrupt
        return LINE

    monkeypatch.setattr(provider, "ask", crash_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        world.asking.ask(_due(*numbers))
    assert world.kept(*numbers) == set(numbers[:-1])


def test_an_answer_that_could_not_be_kept_is_kept_later_and_not_asked_again(
    world: World, provider: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(observations: list[Observation]) -> None:
        raise ClickHouseAway("not now")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "keep_observations", away)
        with pytest.raises(ClickHouseAway):
            world.asking.ask(_due("a"))
    assert world.kept("a") == set()
    world.asking.keep()
    assert world.kept("a") == {"a"}
    assert provider.asked == ["a"]


def test_the_latest_look_up_is_what_is_known(world: World) -> None:
    later = Observation("a", NOW, NOW, LINE._replace(carrier="Vodafone"))
    world.store.keep_observations([later, Observation("a", NOW - 5, NOW - 5, LINE)])
    assert world.store.known(["a", "b"]) == {"a": later}


def test_after_several_changes_of_keys_every_old_hash_points_at_the_newest(world: World) -> None:
    assert world.store.link({"one": "two"}, NOW) == 1
    assert world.store.link({"one": "two"}, NOW + 1) == 0
    assert world.store.link({"two": "three"}, NOW + 2) == 1
    assert world.store.link({"three": "four"}, NOW + 3) == 1
    people = world.store.client().query("SELECT recipient_hash, person FROM recipient_people").result_rows
    assert {tuple(row) for row in people} == {("one", "four"), ("two", "four"), ("three", "four")}
