"""The journal is emptied into the broker in order, whatever that does, and nothing leaves it too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from ingress.draining import Drain
from ingress.journal import Entry, Journal
from ingress.keeping import Keeper, Where
from tests.ingress.fake_broker import TOPIC, FakeBroker, journal_in

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000
LONGEST_S = 10.0
NEVER_S = 600.0


class Drained:
    """A drain at work, with its broker, its journal and the keeper it tells of outages."""

    def __init__(self, journal: Journal, refused_again_s: float) -> None:
        self.journal = journal
        self.broker = FakeBroker()
        self.wanted = asyncio.Event()
        self.keeper = Keeper(self.broker, journal, ack_timeout_s=NEVER_S, on_journaled=self.wanted.set)
        self.drain = Drain(
            journal, self.broker, self.keeper, self.wanted, pause_s=0.001, refused_again_s=refused_again_s
        )

    async def append(self, *named: str) -> None:
        """Entries `key=value`, on the disk when this returns."""
        for key, _, value in (name.partition("=") for name in named):
            await self.journal.append(Entry(TOPIC, key, value.encode(), NOW_MS))
        self.wanted.set()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """The drain works on this very loop, so that a wait in a thread would not do."""
        try:
            async with asyncio.timeout(LONGEST_S):
                while not condition():  # noqa: ASYNC110 # there is no event for what others did
                    await asyncio.sleep(0.001)
        except TimeoutError:
            raise AssertionError(f"waited {LONGEST_S:g} s for {what}") from None

    async def handed_over(self, *named: str) -> None:
        """Until exactly these wait at the broker."""

        def waiting() -> list[str]:
            return sorted(f"{one.key}={one.value.decode()}" for one in self.broker.waiting)

        await self.until(lambda: waiting() == sorted(named), f"{named} to be handed over")


@asynccontextmanager
async def draining(directory: Path, refused_again_s: float = NEVER_S) -> AsyncIterator[Drained]:
    async with journal_in(directory / "journal") as journal:
        drained = Drained(journal, refused_again_s)
        task = asyncio.create_task(drained.drain.run())
        try:
            yield drained
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_of_each_key_the_oldest_goes_first_and_alone(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("a=1", "b=1", "a=2", "b=2", "a=3")
        for batch in (("a=1", "b=1"), ("a=2", "b=2"), ("a=3",)):
            await drained.handed_over(*batch)
            drained.broker.acknowledge_all()
        await drained.until(lambda: not drained.journal.depth, "the journal to be empty")


async def test_an_entry_is_forgotten_only_when_the_broker_has_it(tmp_path: Path) -> None:
    async with draining(tmp_path, refused_again_s=0.0) as drained:
        await drained.append("a=1", "b=1")
        await drained.handed_over("a=1", "b=1")
        assert drained.journal.depth == 2
        drained.broker.fail(drained.broker.waiting[0])
        drained.broker.acknowledge_all()
        await drained.handed_over("a=1")
        assert drained.journal.depth == 1


async def test_an_entry_that_failed_comes_before_what_followed_under_its_key(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("a=1", "a=2")
        await drained.handed_over("a=1")
        drained.broker.fail(drained.broker.waiting[0])
        drained.broker.away = True
        await drained.handed_over("a=1")


async def test_it_tells_the_keeper_that_the_broker_is_back(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        drained.broker.away = True
        drained.keeper.broker_away("all brokers are down")
        assert await drained.keeper.keep(TOPIC, "a", b"1", NOW_MS) is Where.JOURNAL
        await drained.handed_over("a=1")
        assert drained.keeper.to_journal is not None
        drained.broker.acknowledge_all()
        await drained.until(lambda: drained.keeper.to_journal is None, "the keeper to be told")


async def test_it_tells_the_keeper_that_the_broker_is_away(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        drained.broker.away = True
        await drained.append("a=1")
        await drained.handed_over("a=1")
        drained.broker.fail(drained.broker.waiting[0])
        await drained.until(lambda: drained.keeper.to_journal, "the keeper to be told")
        assert "nobody answers" in str(drained.keeper.to_journal)


async def test_with_nothing_to_send_it_asks_until_a_broker_is_there(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        drained.broker.away = True
        drained.keeper.broker_away("all brokers are down")
        await drained.until(lambda: "nobody answers" in str(drained.keeper.to_journal), "a question")
        drained.broker.away = False
        await drained.until(lambda: drained.keeper.to_journal is None, "the keeper to be told")


async def test_what_a_broker_refuses_holds_up_its_own_key_only_and_no_webhook(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("bad=1", "bad=2")
        await drained.handed_over("bad=1")
        drained.broker.fail(drained.broker.waiting[0], "Kafka: message too large")
        await drained.append("good=1", "good=2")
        for fine in ("good=1", "good=2"):
            await drained.handed_over(fine)
            drained.broker.acknowledge_all()
        await drained.until(lambda: drained.journal.depth == 2, "the others to be gone")
        assert drained.broker.topic == [("good", b"1"), ("good", b"2")]
        assert drained.keeper.to_journal is None


async def test_what_failed_among_others_holds_up_the_next_batch_no_more(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("bad=1", "bad=2", "good=1")
        await drained.handed_over("bad=1", "good=1")
        drained.broker.fail(drained.broker.waiting[0])
        drained.broker.acknowledge_all()
        await drained.append("good=2")
        await drained.handed_over("good=2")
        assert drained.journal.depth == 3


async def test_a_key_with_many_entries_waits_for_no_other_key(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("slow=1", *(f"a={step}" for step in range(20)))
        for step in range(20):
            await drained.handed_over("slow=1", f"a={step}")
            drained.broker.acknowledge(drained.broker.waiting[-1])
        await drained.handed_over("slow=1")


async def test_ended_in_the_middle_of_a_key_it_sends_nothing_more(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("a=1", "a=2")
        await drained.handed_over("a=1")
    drained.broker.acknowledge_all()
    assert drained.broker.waiting == []


async def test_what_a_broker_refused_is_tried_again_later(tmp_path: Path) -> None:
    async with draining(tmp_path, refused_again_s=0.0) as drained:
        await drained.append("bad=1", "bad=2")
        await drained.handed_over("bad=1")
        drained.broker.fail(drained.broker.waiting[0], "Kafka: unknown topic")
        for later in ("bad=1", "bad=2"):
            await drained.handed_over(later)
            drained.broker.acknowledge_all()
        await drained.until(lambda: not drained.journal.depth, "the journal to be empty")


async def test_more_refused_entries_than_a_batch_holds_hide_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingress.draining.BATCH", 3)
    async with draining(tmp_path) as drained:
        await drained.append(*(f"bad-{number}=1" for number in range(7)), "good=1")

        def only_bad() -> bool:
            for delivery in list(drained.broker.waiting):
                if delivery.key.startswith("bad"):
                    drained.broker.fail(delivery, "Kafka: unknown topic")
            return any(delivery.key == "good" for delivery in drained.broker.waiting)

        await drained.until(only_bad, "the good one to be handed over")


async def test_ended_in_the_middle_it_leaves_the_entries_for_the_next_start(tmp_path: Path) -> None:
    async with draining(tmp_path) as drained:
        await drained.append("a=1", "a=2")
        await drained.handed_over("a=1")
        left = drained.broker
    left.acknowledge_all()  # nobody is there any more to hear of it
    async with draining(tmp_path) as drained:
        await drained.handed_over("a=1")
        assert drained.journal.depth == 2
