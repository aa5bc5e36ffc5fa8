"""Cancelling what waits at the provider: only what is known to be the command's, told like any status."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from schemas.records import OutboundCommand, ProviderStatus
from schemas.vocabulary import Channel, CommandKind, Priority
from sinks.outbound import cancels
from sinks.outbound.books import Books
from sinks.outbound.cancels import Cancels
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import Accepted, Ambiguous, CancelAnswer, Canceled, TooLate, Unknown
from tests.outbound.eventually import eventually
from tests.outbound.examples import command
from tests.outbound.fake_provider import NAME, Pigeons

pytestmark = pytest.mark.anyio
SID = "feather-9"
STATUS = ProviderStatus(
    event_id="e",
    provider=NAME,
    account_sid="A",
    message_sid=SID,
    status="canceled",
    channel=Channel.SMS,
    received_at=1,
    source="poll",
)
SCHEDULED = Accepted(SID, "scheduled", None)


def cancel_of(wanted: OutboundCommand, sid: str | None = None, offset: int = 0) -> Waiting:
    command_id = f"{wanted.command_id}:cancel"
    asks = command(command_id=command_id, kind=CommandKind.CANCEL, provider=NAME, sid=sid)
    return Waiting(asks, Priority.URGENT, "urgent", 0, offset)


@dataclass
class World:
    pigeons: Pigeons
    books: Books = field(default_factory=Books)
    done: list[Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cancels = Cancels({NAME: self.pigeons}, self.books, self.done.append)

    async def all_done(self, count: int = 1) -> None:
        await eventually(lambda: len(self.done) >= count)

    def told(self) -> list[object]:
        return [record for _, _, record in self.books.take_turn().records]


def world(*answers: CancelAnswer) -> World:
    return World(Pigeons(cancellations=list(answers)))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancels, "_AGAIN_AFTER_S", (0.0, 0.0))


async def test_a_message_that_the_cancellation_names_is_canceled_and_its_status_told() -> None:
    it, wanted = world(Canceled(STATUS)), command()
    it.cancels.begin(cancel_of(wanted, SID), wanted.command_id, under_way=False)
    await it.all_done()
    assert it.pigeons.asked == [("cancel", SID)]
    assert it.told() == [STATUS]


async def test_a_message_known_to_be_scheduled_is_canceled_without_being_named() -> None:
    it, wanted = world(Canceled(STATUS)), command()
    it.cancels.answered(wanted.command_id, SCHEDULED)
    it.cancels.begin(cancel_of(wanted), wanted.command_id, under_way=False)
    await it.all_done()
    assert it.pigeons.asked == [("cancel", SID)]


async def test_a_message_that_is_not_scheduled_is_left_alone() -> None:
    it, wanted = world(), command()
    it.cancels.answered(wanted.command_id, Accepted(SID, "queued", None))
    it.cancels.begin(cancel_of(wanted), wanted.command_id, under_way=False)
    await it.all_done()
    assert it.pigeons.asked == []


async def test_a_call_under_way_is_waited_for_and_what_it_scheduled_is_canceled_once() -> None:
    it, wanted = world(Canceled(STATUS)), command()
    copies = [cancel_of(wanted, offset=1), cancel_of(wanted, offset=2)]
    for each in copies:
        it.cancels.begin(each, wanted.command_id, under_way=True)
    assert it.done == []
    it.cancels.answered(wanted.command_id, SCHEDULED)
    await it.all_done(2)
    assert it.pigeons.asked == [("cancel", SID)]
    assert {each.offset for each in it.done} == {1, 2}


@pytest.mark.parametrize("answer", [Accepted(SID, "queued", None), Ambiguous("a time-out")])
async def test_a_call_that_ends_otherwise_ends_its_cancellation(answer: Accepted | Ambiguous) -> None:
    it, wanted = world(), command()
    it.cancels.begin(cancel_of(wanted), wanted.command_id, under_way=True)
    it.cancels.answered(wanted.command_id, answer)
    await it.all_done()
    assert it.pigeons.asked == []


async def test_too_late_is_final() -> None:
    it, wanted = world(TooLate(30409)), command()
    it.cancels.begin(cancel_of(wanted, SID), wanted.command_id, under_way=False)
    await it.all_done()
    assert it.pigeons.asked == [("cancel", SID)]
    assert it.told() == []


async def test_what_is_unknown_is_asked_again() -> None:
    it, wanted = world(Unknown("a time-out"), Canceled(STATUS)), command()
    it.cancels.begin(cancel_of(wanted, SID), wanted.command_id, under_way=False)
    await it.all_done()
    assert it.pigeons.asked == [("cancel", SID)] * 2
    assert it.told() == [STATUS]


async def test_what_stays_unknown_is_given_up_and_said() -> None:
    it, wanted = world(*[Unknown("a time-out")] * 9), command()
    with capture_logs() as logs:
        it.cancels.begin(cancel_of(wanted, SID), wanted.command_id, under_way=False)
        await it.all_done()
    assert it.pigeons.asked == [("cancel", SID)] * 3
    assert [line["log_level"] for line in logs] == ["warning"]


async def test_a_cancellation_that_was_not_carried_out_is_read_again_by_the_next_owner() -> None:
    it, wanted = world(), command()
    it.cancels.begin(cancel_of(wanted, SID), wanted.command_id, under_way=False)
    it.cancels.cancel()
    await asyncio.sleep(0)
    assert it.done == []
