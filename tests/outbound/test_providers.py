"""A second provider is an adapter and a route: nothing of the sink knows which one it talks to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from schemas.records import AttemptEvent, JournalEntry, OutboundCommand, ProviderStatus
from schemas.vocabulary import Channel, CommandKind, CommandResult, ErrorClass, Priority
from sinks.outbound.books import Books, FetchEnd
from sinks.outbound.brakes import Brakes
from sinks.outbound.calls import Calls
from sinks.outbound.cancels import Cancels
from sinks.outbound.doubts import Doubts
from sinks.outbound.fetches import Fetches
from sinks.outbound.journal import Journal, started
from sinks.outbound.lanes import Waiting
from sinks.outbound.pacing.pauses import Reach, Scope
from sinks.outbound.provider import TWILIO, Ambiguous, Providers, SendAnswer
from tests.outbound.eventually import eventually
from tests.outbound.examples import command, now_ms
from tests.outbound.fake_provider import NAME, UNFIT, Pigeons
from tests.outbound.recorded_pacing import RecordedDecisions, RecordedPacing

pytestmark = pytest.mark.anyio
SENDER = "loft-1"


@dataclass
class World:
    """The sink's parts around two providers, without a broker."""

    fetches_per_s: float = 1e6
    twilio: Pigeons = field(default_factory=Pigeons)
    pigeons: Pigeons = field(default_factory=Pigeons)
    pacing: RecordedPacing = field(default_factory=RecordedPacing)
    books: Books = field(default_factory=Books)
    done: list[Waiting] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        providers: Providers = {TWILIO: self.twilio, NAME: self.pigeons}
        self.journal = Journal()
        self.books.take_over(0, self.journal)
        self.brakes = Brakes(self.pacing, RecordedDecisions(), now_ms)
        self.cancels = Cancels(providers, self.books, self.done.append)
        self.calls = Calls(
            providers, "http://127.0.0.1:9", self.books, self.brakes, self.cancels, self.over.append
        )
        self.fetches = Fetches(providers, self.books, self.brakes, self.done.append, self.fetches_per_s)
        self.doubts = Doubts(providers, 10.0, 100.0)

    async def call(self, wanted: OutboundCommand) -> AttemptEvent:
        entry = started(wanted, now_ms())
        self.books.start(0, entry)
        self.calls.begin(waiting(wanted), entry, time.monotonic() + 5)
        await self.calls.finish()
        [event] = [r for _, _, r in self.books.take_turn().records if isinstance(r, AttemptEvent)]
        return event


def waiting(wanted: OutboundCommand) -> Waiting:
    return Waiting(wanted, Priority.NORMAL, "normal", 0, 0)


def by_pigeon(**changes: object) -> OutboundCommand:
    return command(provider=NAME, sender=SENDER, **changes)


async def test_a_command_goes_to_the_provider_that_its_route_named() -> None:
    world, wanted = World(), by_pigeon()
    event = await world.call(wanted)
    assert world.pigeons.asked == [("send", wanted.command_id)]
    assert world.twilio.asked == []
    assert (event.result, event.sid, event.status) == (CommandResult.ACCEPTED, "feather-1", "flying")
    assert world.over == [wanted.command_id]


async def test_its_codes_mean_what_its_adapter_says() -> None:
    world = World(pigeons=Pigeons(answers=[Pigeons().refusal(UNFIT)]))
    event = await world.call(by_pigeon())
    assert (event.error_code, event.error_class) == (UNFIT, ErrorClass.CONFIGURATION)
    assert [pause.scope for pause in world.pacing.held] == [Scope(Reach.SENDER, SENDER)]


async def test_its_outage_pauses_what_goes_by_it_and_nothing_else() -> None:
    answers: list[SendAnswer] = [Ambiguous("lost in a cloud")] * 8
    world = World(pigeons=Pigeons(answers=answers))
    for _ in range(8):
        await world.call(by_pigeon())
    assert [pause.scope for pause in world.pacing.held] == [Scope(Reach.PROVIDER, NAME)]


async def test_a_provider_that_nobody_knows_is_a_mistake_of_configuration_and_nobody_is_called() -> None:
    world = World()
    event = await world.call(command(provider="owl"))
    assert (event.result, event.error_class) == (CommandResult.REJECTED, ErrorClass.CONFIGURATION)
    assert "'owl'" in (event.detail or "")
    assert [pause.scope for pause in world.pacing.held] == [Scope(Reach.PROVIDER, "owl")]
    assert world.twilio.asked == world.pigeons.asked == []


async def test_a_doubt_is_asked_of_the_provider_that_was_called() -> None:
    world = World(pigeons=Pigeons(answers=[Ambiguous("lost in a cloud")]))
    wanted = by_pigeon()
    await world.call(wanted)
    [entry] = world.journal.open_entries()
    assert entry.provider == NAME
    world.doubts.look_up(0, world.journal, frozenset(), entry.started_at + 10_000)
    await eventually(lambda: len(world.pigeons.asked) == 2)
    assert world.pigeons.asked[1] == ("find", wanted.command_id)
    assert world.twilio.asked == []


async def test_what_two_providers_know_of_one_person_is_never_taken_for_the_others() -> None:
    world = World()
    entries: list[JournalEntry] = []
    for wanted in (command(sender=SENDER), by_pigeon()):
        entries.append(started(wanted, 1_000))
        world.journal.record(entries[-1])
    world.doubts.look_up(0, world.journal, frozenset(), 20_000)
    await eventually(lambda: world.twilio.asked or world.pigeons.asked)
    [proof] = await proofs(world)
    assert proof == entries[0].command_id
    assert world.pigeons.asked == []


async def proofs(world: World) -> list[str]:
    found: list[str] = []

    def any_found() -> bool:
        found.extend(proof.command_id for proof in world.doubts.proofs(0))
        return bool(found)

    await eventually(any_found)
    return found


async def test_a_doubt_about_a_provider_that_is_gone_proves_nothing() -> None:
    world = World()
    world.journal.record(started(command(provider="owl"), 1_000))
    world.doubts.look_up(0, world.journal, frozenset(), 20_000)
    await turns()
    assert world.doubts.proofs(0) == []


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def fetch(sid: str, provider: str = NAME) -> Waiting:
    return waiting(command(kind=CommandKind.FETCH, provider=provider, sender=SENDER, sid=sid))


def status(code: int | None) -> ProviderStatus:
    return ProviderStatus(
        event_id="e",
        provider=NAME,
        account_sid="A",
        message_sid="feather-1",
        status="lost",
        error_code=code,
        channel=Channel.SMS,
        sender=SENDER,
        received_at=1,
        source="poll",
    )


async def test_a_quiet_message_is_fetched_from_its_provider_and_its_code_heard() -> None:
    world = World(pigeons=Pigeons(statuses={"feather-1": status(UNFIT)}))
    world.fetches.begin(fetch("feather-1"))
    await eventually(lambda: world.done)
    assert [record for _, _, record in world.books.take_turn().records] == [status(UNFIT)]
    assert [pause.scope for pause in world.pacing.held] == [Scope(Reach.SENDER, SENDER)]


@pytest.mark.parametrize("code", [None, 99])
async def test_a_status_that_says_nothing_of_its_sender_stops_nobody(code: int | None) -> None:
    world = World(pigeons=Pigeons(statuses={"feather-1": status(code)}))
    world.fetches.begin(fetch("feather-1"))
    await eventually(lambda: world.done)
    assert world.pacing.held == []


async def test_a_fetch_from_a_provider_that_nobody_knows_is_over() -> None:
    world = World()
    world.fetches.begin(fetch("feather-1", "owl"))
    await eventually(lambda: world.done)
    assert world.books.take_turn().records == []


async def test_questions_that_the_budget_cannot_ask_for_a_minute_are_shed_and_hold_nothing_up() -> None:
    world = World(fetches_per_s=0.1)
    for _ in range(10):
        world.fetches.begin(fetch("feather-1"))
    assert len(world.done) == 4  # six are what a tenth a second asks in a minute
    assert world.books.fetches == {FetchEnd.SHED: 4}
    world.fetches.cancel()


async def test_a_question_whose_answer_nobody_waits_for_any_more_is_not_asked() -> None:
    world = World()
    wanted = command(kind=CommandKind.FETCH, provider=NAME, sid="feather-1", not_after=now_ms() - 1)
    world.fetches.begin(waiting(wanted))
    await eventually(lambda: world.done)
    assert world.pigeons.asked == []
    assert world.books.fetches == {FetchEnd.SHED: 1}


@pytest.mark.parametrize(
    ("sid", "provider", "end"),
    [
        ("feather-1", NAME, FetchEnd.ANSWERED),
        ("feather-2", NAME, FetchEnd.UNKNOWN),
        ("feather-1", "owl", FetchEnd.FAILED),
    ],
)
async def test_what_became_of_questions_is_counted(sid: str, provider: str, end: FetchEnd) -> None:
    world = World(pigeons=Pigeons(statuses={"feather-1": status(None)}))
    world.fetches.begin(fetch(sid, provider))
    await eventually(lambda: world.done)
    assert world.books.fetches == {end: 1}
