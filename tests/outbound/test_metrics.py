"""What an outbound process tells of itself, and when it says that it stands still."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sinks.outbound.metrics import HELP, Name
from sinks.outbound.watching import Place, Watching
from streams.progress import Progress
from tests.outbound import shown
from tests.outbound.examples import RECIPIENT, SENDER

pytestmark = pytest.mark.anyio


async def test_every_metric_is_there_with_its_help() -> None:
    families = await asyncio.to_thread(shown.metrics().collect)
    assert {family.name: family.documentation for family in families} == {
        name.value: HELP[name] for name in Name
    }


async def test_what_a_sender_does_is_shown_by_sender_and_lane() -> None:
    found = shown.samples(await asyncio.to_thread(shown.metrics().collect))
    assert found[Name.QUEUE] == {(SENDER, "urgent"): 2, (SENDER, "normal"): 0, (SENDER, "bulk"): 0}
    assert found[Name.QUEUE_AGE] == {(SENDER, "urgent"): 7.5, (SENDER, "normal"): 0, (SENDER, "bulk"): 0}
    by_sender = {
        Name.RATE: 0.5,
        Name.SET_RATE: 1.0,
        Name.TOKENS: -0.5,
        Name.SPENT: 70,
        Name.CAP: 100,
        Name.IN_FLIGHT: 3,
        Name.IN_DOUBT: 1,
        Name.HELD: 1,
    }
    assert {name: found[name][SENDER,] for name in by_sender} == by_sender
    assert found[Name.PAUSED] == {(SENDER, "tenant"): 2}
    assert found["outbound_fetches_total"]["shed",] == 2
    assert found["outbound_results_total"] == {(SENDER, "rejected", "rate"): 4}


async def test_the_age_of_doubts_is_that_of_the_oldest_and_what_is_held_is_none() -> None:
    found = shown.samples(await asyncio.to_thread(shown.metrics().collect))
    assert found[Name.DOUBT_AGE] == {(SENDER,): 30.0}


async def test_the_journal_the_partitions_and_the_lag_are_counted() -> None:
    found = shown.samples(await asyncio.to_thread(shown.metrics().collect))
    assert found[Name.JOURNAL][()] == 3
    assert found[Name.PARTITIONS][()] == 1
    assert found[Name.LAG] == {("outbound.commands.normal",): 5}


async def test_nothing_of_a_recipient_is_in_what_is_shown() -> None:
    registry = CollectorRegistry()
    registry.register(shown.metrics())
    text = (await asyncio.to_thread(generate_latest, registry)).decode()
    assert SENDER in text
    assert RECIPIENT.removeprefix("+") not in text


async def test_a_process_at_work_is_alive_and_one_with_an_open_turn_says_so() -> None:
    watching = Watching(dict)
    watching.liveness.look(100.0, {}, None)
    assert watching.liveness.trouble(100.0) is None
    assert watching.commit_age_s() == 0.0
    watching.has_news()
    assert 0.0 <= watching.commit_age_s() < 5.0
    watching.committed()
    assert watching.commit_age_s() == 0.0
    assert watching.turns == 1


async def test_a_partition_that_has_records_and_is_not_read_is_trouble() -> None:
    watching = Watching(dict)
    place = Place("outbound.commands.urgent", 3)
    for now in (100.0, 161.0):
        watching.liveness.look(now, {place: Progress(5, 9)}, None)
    trouble = watching.liveness.trouble(161.0)
    assert trouble is not None
    assert trouble.startswith("outbound.commands.urgent [3] has records")


async def test_a_watch_that_was_started_looks_at_what_is_read() -> None:
    looked = asyncio.Event()

    def reading() -> dict[Place, Progress]:
        looked.set()
        return {}

    watching = Watching(reading)
    watching.start()
    await asyncio.wait_for(looked.wait(), 5)
    watching.stop()
