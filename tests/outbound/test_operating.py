"""Decisions are carried out once, in the turn that says they were read; what is held is not forgotten."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
from confluent_kafka import Message

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import AttemptEvent, JournalEntry, OutboundControl, SenderState
from schemas.topics import Topic
from schemas.vocabulary import CommandResult, ControlAction, ControlScope
from sinks.outbound.books import Books
from sinks.outbound.journal import Journal
from sinks.outbound.lanes import Lanes
from sinks.outbound.operating import Operating
from sinks.outbound.pacing.pauses import Reach, Scope
from sinks.outbound.pacing.rate import Rates, SenderRate
from tests.outbound.examples import SENDER, entry

NOW = 1_790_000_000_000
DAY_MS = 86_400_000


class JsonCodec:
    """Reads JSON where the real one reads Avro by a registry."""

    def decode(self, value: bytes, record_type: type[OutboundControl]) -> OutboundControl:
        try:
            return msgspec.json.decode(value, type=record_type)
        except msgspec.MsgspecError as wrong:
            raise WireError("not-avro", str(wrong)) from wrong


class Read:
    """A message as the consumer hands it out."""

    def __init__(self, offset: int, value: bytes | None) -> None:
        self._offset = offset
        self._value = value

    def topic(self) -> str:
        return Topic.CONTROLS

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"command:a:1"

    def value(self) -> bytes | None:
        return self._value


class World:
    def __init__(self, *entries: JournalEntry) -> None:
        self.books = Books()
        self.journal = Journal()
        for each in entries:
            self.journal.record(each)
        self.books.take_over(0, self.journal)
        self.books.take_turn()
        self.rates = Rates(SenderRate(segments_per_s=2.0))
        self.lanes = Lanes(self.rates)
        self.done: list[int] = []
        self.operating = Operating(
            "owner-1",
            5.0,
            cast(Codec, JsonCodec()),
            self.books,
            self.lanes,
            self.rates,
            lambda topic, partition, offset: self.done.append(offset),
        )
        self.operating.take_over(0, (), NOW)
        self.offset = -1

    def decide(self, action: str, scope: str = "command", target: str = "a:1") -> None:
        control = OutboundControl(
            control_id="c",
            action=ControlAction(action),
            scope=ControlScope(scope),
            target=target,
            by="kim",
            reason="looked",
            at=NOW,
        )
        self.read(msgspec.json.encode(control))

    def read(self, value: bytes | None) -> None:
        self.offset += 1
        self.operating.take(cast(Message, Read(self.offset, value)), NOW)

    def turn(self) -> tuple[list[CommandResult], list[AttemptEvent]]:
        """What the next turn writes to the journal, and what it reports."""
        turn = self.books.take_turn()
        events = [record for _, _, record in turn.records if isinstance(record, AttemptEvent)]
        return [journaled.state for _, journaled in turn.entries], events

    def shown(self) -> list[SenderState]:
        records = self.books.take_turn().records
        return [record for topic, _, record in records if isinstance(record, SenderState)]


def test_a_released_command_is_reported_absent_so_that_it_may_be_tried_again() -> None:
    world = World(entry("a:1", CommandResult.HELD))
    world.decide("release")
    states, (event,) = world.turn()
    assert states == [CommandResult.RELEASED]
    assert (event.result, event.detail) == (CommandResult.ABSENT, "released by kim: looked")
    assert world.journal.open_entries() == ()
    assert world.done == [0]


def test_a_dropped_command_stays_held_for_whoever_asked_for_it() -> None:
    world = World(entry("a:1", CommandResult.HELD))
    world.decide("drop")
    states, (event,) = world.turn()
    assert states == [CommandResult.DROPPED]
    assert (event.result, event.detail) == (CommandResult.HELD, "dropped by kim: looked")
    assert world.journal.knows("a:1")


@pytest.mark.parametrize("first", ["release", "drop"])
@pytest.mark.parametrize("then", ["release", "drop"])
def test_a_command_is_decided_about_once(first: str, then: str) -> None:
    world = World(entry("a:1", CommandResult.HELD))
    world.decide(first)
    world.turn()
    world.decide(then)
    assert world.turn() == ([], [])
    assert world.done == [0, 1]


def test_a_decision_read_again_after_a_crash_is_carried_out_if_its_turn_was_lost_and_else_not() -> None:
    lost = World(entry("a:1", CommandResult.HELD))
    lost.decide("release")
    (told,) = lost.turn()[1]
    again = World(entry("a:1", CommandResult.HELD))  # the next owner: the journal's topic knows nothing of it
    again.decide("release")
    assert [event.result for event in again.turn()[1]] == [told.result]
    committed = World(entry("a:1", CommandResult.HELD), entry("a:1", CommandResult.RELEASED))
    committed.decide("release")
    assert committed.turn() == ([], [])


def test_a_decision_that_cannot_be_read_is_put_aside_and_holds_nothing_up() -> None:
    world = World()
    world.read(b"nonsense")
    world.read(None)
    turn = world.books.take_turn()
    assert [topic for topic, _, _ in turn.records] == [Topic.DEAD_LETTERS]
    assert world.done == [0, 1]


def test_a_pause_reaches_the_lanes_and_is_shown_with_the_sender() -> None:
    world = World()
    world.decide("pause", "sender", SENDER)
    assert [each.scope for each in world.lanes.pauses()] == [Scope(Reach.SENDER, SENDER)]
    world.operating.tick(NOW)
    (state,) = world.shown()
    assert (state.sender, state.owner) == (SENDER, "owner-1")
    assert [(each.scope, each.reason) for each in state.pauses] == [(ControlScope.SENDER, "looked (kim)")]
    assert state.set_segments_per_s == 2.0
    world.decide("resume", "sender", SENDER)
    assert world.lanes.pauses() == ()


def test_held_commands_are_shown_until_they_are_decided_about() -> None:
    world = World(entry("a:1", CommandResult.HELD), entry("b:1", CommandResult.HELD))
    world.operating.tick(NOW)
    assert [state.held for state in world.shown()] == [2]
    world.decide("drop")
    world.operating.tick(NOW + 5_000)
    assert [state.held for state in world.shown()] == [1]


def test_what_is_held_is_written_again_once_a_day_as_it_is() -> None:
    """The topic deletes after seven days, and a person may take longer than that."""
    held = entry("a:1", CommandResult.HELD, at=NOW)
    books = Books()
    journal = Journal()
    journal.record(held)
    journal.record(entry("b:1", CommandResult.IN_DOUBT, at=NOW))
    books.take_over(0, journal)
    written: list[list[JournalEntry]] = []
    for day in (0.9, 1, 1.9, 2, 8):
        books.keep_in_mind(int(NOW + day * DAY_MS))
        written.append([each for _, each in books.take_turn().entries])
    assert written == [[], [held], [], [held], [held]]


def test_what_was_held_for_long_is_written_again_as_soon_as_its_partition_is_taken_over() -> None:
    world = World(entry("a:1", CommandResult.HELD, at=NOW - 2 * DAY_MS))
    world.operating.tick(NOW)
    assert world.turn()[0] == [CommandResult.HELD]
    world.operating.tick(NOW + 1)
    assert world.turn()[0] == []


def test_results_are_counted_by_sender_result_and_class() -> None:
    world = World(entry("a:1", CommandResult.HELD))
    world.decide("release")
    assert {(e.sender, e.result, e.error_class): n for e, n in world.books.endings.items()} == {
        (SENDER, CommandResult.ABSENT, None): 1
    }


def test_an_alarm_stands_written_where_the_sender_is_and_one_of_the_account_on_all_that_is_owned() -> None:
    world = World()
    world.books.take_over(4, Journal())
    world.operating.write_down(4, Scope(Reach.SENDER, SENDER), "30034", NOW)
    world.operating.write_down(4, Scope(Reach.PROVIDER, "twilio"), "20003", NOW)
    written = world.books.take_turn().controls
    assert [(partition, each.scope, each.target) for partition, each in written] == [
        (4, ControlScope.SENDER, SENDER),
        (0, ControlScope.PROVIDER, "twilio"),
        (4, ControlScope.PROVIDER, "twilio"),
    ]
    assert {each.until for _, each in written} == {None}
