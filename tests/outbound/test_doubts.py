"""When the provider is asked about doubts, and that nothing is concluded from a list that came too early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schemas.records import JournalEntry, OutboundCommand, ProviderStatus
from schemas.vocabulary import CommandResult
from sinks.outbound.doubts import PARALLEL, Doubts, Proof
from sinks.outbound.journal import Journal, ended
from sinks.outbound.provider import TWILIO, CancelAnswer, FoundMessage, LookupFailed, SendAnswer, Verdict
from sinks.outbound.settle import CLOCKS_DIFFER_MS
from tests.outbound.examples import RECIPIENT, SENDER, entry, message

pytestmark = pytest.mark.anyio
SETTLE_AFTER_S, HOLD_AFTER_S = 10.0, 100.0
NOW = 1_000_000 + 10_000
LATE = 1_000_000 + 100_000
HOUR_MS = 3_600_000


class Lists:
    """A provider that answers each question when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, int]] = []
        self.answers: asyncio.Queue[tuple[FoundMessage, ...] | Exception] = asyncio.Queue()

    async def find(self, doubt: JournalEntry, since: int) -> tuple[FoundMessage, ...]:
        self.asked.append((doubt.sender, doubt.recipient, doubt.channel, since))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        raise NotImplementedError

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        raise NotImplementedError

    async def cancel(self, command: OutboundCommand) -> CancelAnswer:
        raise NotImplementedError

    def verdict(self, code: int, sender: str) -> Verdict:
        raise NotImplementedError

    async def close(self) -> None: ...


class World:
    def __init__(self, *entries: JournalEntry) -> None:
        self.lists = Lists()
        self.doubts = Doubts({TWILIO: self.lists}, SETTLE_AFTER_S, HOLD_AFTER_S)
        self.journal = Journal()
        for each in entries:
            self.journal.record(each)

    async def look_up(self, now: int = NOW, under_way: frozenset[str] = frozenset()) -> int:
        """Start what is due, until each asked its question; how many did."""
        before = len(self.lists.asked)
        self.doubts.look_up(0, self.journal, under_way, now)
        await turns()
        return len(self.lists.asked) - before

    async def answer(self, *found: FoundMessage | Exception) -> list[Proof]:
        failure = next((each for each in found if isinstance(each, Exception)), None)
        self.lists.answers.put_nowait(failure or tuple(m for m in found if isinstance(m, FoundMessage)))
        await turns()
        return self.doubts.proofs(0)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_asks_only_when_no_call_can_be_under_way_any_more() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    assert await world.look_up(NOW - 1) == 0
    assert await world.look_up(NOW) == 1
    assert world.lists.asked == [(SENDER, RECIPIENT, "sms", 1_000_000 - CLOCKS_DIFFER_MS)]


async def test_a_call_under_way_is_not_asked_about() -> None:
    world = World(entry("a:1"))
    assert await world.look_up(NOW, frozenset({"a:1"})) == 0


async def test_what_was_proved_is_told_once() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    assert await world.answer(message("SM1")) == [
        Proof("a:1", CommandResult.ACCEPTED, "SM1", "by look-up at the provider")
    ]
    assert world.doubts.proofs(0) == []


async def test_a_failed_look_up_proves_nothing_and_is_repeated_after_a_while() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    assert await world.answer(LookupFailed("away")) == []
    assert await world.look_up(NOW + 1) == 0
    assert await world.look_up(NOW + 5_000) == 1
    assert [proof.result for proof in await world.answer()] == [CommandResult.ABSENT]


async def test_an_unforeseen_failure_proves_nothing_and_is_repeated() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    assert await world.answer(KeyError("surprise")) == []
    assert await world.look_up(NOW + 5_000) == 1


@pytest.mark.parametrize("state", [CommandResult.STARTED, CommandResult.IN_DOUBT])
async def test_a_call_begun_during_the_look_up_may_own_the_message(state: CommandResult) -> None:
    """Otherwise the doubt would be closed with the other command's message, and its own never sent."""
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    world.journal.record(entry("b:1", state, started_at=NOW))
    assert await world.answer(message("SM1", created_at=NOW)) == []


async def test_a_message_claimed_during_the_look_up_is_not_given_to_another() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    twin = entry("b:1", started_at=NOW)
    world.journal.record(ended(twin, CommandResult.ACCEPTED, NOW + 1, "SM1"))
    assert [proof.result for proof in await world.answer(message("SM1", created_at=NOW))] == [
        CommandResult.ABSENT
    ]


async def test_a_command_settled_by_a_callback_meanwhile_is_left_alone() -> None:
    doubt = entry("a:1", CommandResult.IN_DOUBT)
    world = World(doubt)
    await world.look_up()
    world.journal.record(ended(doubt, CommandResult.ACCEPTED, NOW, "SM1"))
    assert await world.answer() == []


@pytest.mark.parametrize(
    "answer", [lambda: message("SM1", "another text"), lambda: LookupFailed("away")], ids=["unproved", "away"]
)
async def test_what_stays_unproved_is_held_with_the_reason(
    answer: Callable[[], FoundMessage | Exception],
) -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up(LATE)
    (proof,) = await world.answer(answer())
    assert (proof.command_id, proof.result) == ("a:1", CommandResult.HELD)
    assert "away" in proof.detail or "1 messages" in proof.detail


async def test_what_is_held_is_asked_about_once_an_hour_for_a_day_and_not_held_anew() -> None:
    world = World(entry("a:1", CommandResult.HELD, at=LATE))
    assert await world.look_up(LATE + HOUR_MS - 1) == 0
    assert await world.look_up(LATE + HOUR_MS) == 1
    assert await world.answer(LookupFailed("away")) == []
    assert await world.look_up(LATE + 2 * HOUR_MS - 1) == 0
    assert await world.look_up(LATE + 2 * HOUR_MS) == 1
    assert await world.answer(LookupFailed("away")) == []
    assert await world.look_up(LATE + 24 * HOUR_MS - 1) == 1
    assert await world.answer(LookupFailed("away")) == []
    assert await world.look_up(LATE + 26 * HOUR_MS) == 0


@pytest.mark.parametrize(
    ("found", "result"), [((), CommandResult.ABSENT), ((message("SM1"),), CommandResult.ACCEPTED)]
)
async def test_what_is_held_is_settled_by_a_later_look_up(
    found: tuple[FoundMessage, ...], result: CommandResult
) -> None:
    world = World(entry("a:1", CommandResult.HELD, at=LATE))
    await world.look_up(LATE + HOUR_MS)
    assert [proof.result for proof in await world.answer(*found)] == [result]


@pytest.mark.parametrize("state", [CommandResult.HELD, CommandResult.RELEASED, CommandResult.DROPPED])
async def test_a_message_that_may_be_one_given_up_is_not_given_to_the_next(state: CommandResult) -> None:
    """Nobody knows whose it is: the one that is gone on being asked about must not take it."""
    given_up = entry("a:1", state, at=1_000_000 - 25 * HOUR_MS)
    world = World(given_up, entry("b:1", CommandResult.IN_DOUBT, started_at=1_000_001))
    assert await world.look_up(LATE + 1) == 0
    (proof,) = world.doubts.proofs(0)
    assert (proof.command_id, proof.result) == ("b:1", CommandResult.HELD)


async def test_what_was_given_up_long_before_keeps_nothing_from_being_settled() -> None:
    given_up = entry("a:1", CommandResult.DROPPED, started_at=1_000_000 - HOUR_MS)
    world = World(given_up, entry("b:1", CommandResult.IN_DOUBT))
    await world.look_up()
    assert [proof.command_id for proof in await world.answer(message("SM1"))] == ["b:1"]


async def test_a_doubt_so_old_that_lists_prove_nothing_is_held_without_asking() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    assert await world.look_up(NOW + 5 * 24 * HOUR_MS) == 0
    (proof,) = world.doubts.proofs(0)
    assert (proof.command_id, proof.result) == ("a:1", CommandResult.HELD)


async def test_a_person_is_asked_about_once_at_a_time_and_only_so_many_together() -> None:
    same = [entry(f"same{number}:1", CommandResult.IN_DOUBT) for number in range(3)]
    world = World(*same)
    assert await world.look_up() == 1
    others = [
        entry(f"n{number}:1", CommandResult.IN_DOUBT, recipient=f"+1202555{number:04d}")
        for number in range(10)
    ]
    many = World(*others)
    assert await many.look_up() == PARALLEL


async def test_a_partition_given_away_is_not_reported_on_any_more() -> None:
    world = World(entry("a:1", CommandResult.IN_DOUBT))
    await world.look_up()
    world.doubts.drop(0)
    assert await world.answer(message("SM1")) == []
    assert await world.look_up(NOW + 5_000) == 1
