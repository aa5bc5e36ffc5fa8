"""What is published of a sender, and when."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.records import LaneState, PauseState, SenderState
from schemas.vocabulary import CommandResult, ControlScope, Priority
from sinks.outbound.journal import Journal
from sinks.outbound.pacing.pauses import EVERYTHING, Pause, Reach, Scope
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.state import LanePace, SenderPace
from sinks.outbound.states import AGAIN_MS, SOON_MS, States, open_by_sender, state_of
from tests.outbound.examples import SENDER, entry

NOW = 1_790_000_000_000
RATE = SenderRate(segments_per_s=2, burst=3, daily_segments=100)
OTHER = "+15005550007"


def state(at: int = NOW, **changes: Any) -> SenderState:
    return SenderState(
        **{
            "sender": SENDER,
            "owner": "0",
            "at": at,
            "segments_per_s": 1.0,
            "set_segments_per_s": 1.0,
            "tokens": 1.0,
            **changes,
        }
    )


def pace(**changes: Any) -> SenderPace:
    return SenderPace(
        **{
            "sender": SENDER,
            "rate": RATE,
            "segments_per_s": 0.5,
            "tokens": -1.5,
            "nothing_before": NOW + 5,
            "lanes": (LanePace(Priority.URGENT, 2, 1_500), LanePace(Priority.BULK, 0, None)),
            "in_flight": 4,
            "spent_today": 70,
            "day_ends_at": NOW + 1,
            "pauses": (Pause(Scope(Reach.TENANT, "acme"), "why (kim)", NOW + 9),),
            **changes,
        }
    )


def test_a_state_is_published_when_it_is_new_and_again_when_it_changed() -> None:
    states = States(5_000)
    assert list(states.news([state()], NOW)) == [state()]
    assert list(states.news([state(NOW + 5)], NOW + 5)) == []
    changed = state(NOW + 9, held=1)
    assert list(states.news([changed], NOW + 9)) == [changed]


def test_tokens_that_only_fill_up_are_no_news() -> None:
    states = States(5_000)
    list(states.news([state()], NOW))
    assert list(states.news([state(NOW + 5, tokens=0.0)], NOW + 5)) == []


def test_an_owner_that_lives_is_heard_of_even_when_nothing_changes() -> None:
    states = States(5_000)
    list(states.news([state()], NOW))
    assert list(states.news([state(NOW + AGAIN_MS - 1)], NOW + AGAIN_MS - 1)) == []
    assert len(list(states.news([state(NOW + AGAIN_MS)], NOW + AGAIN_MS))) == 1


def test_a_sender_that_went_and_came_back_is_published_anew() -> None:
    states = States(5_000)
    list(states.news([state()], NOW))
    assert list(states.news([], NOW + 5)) == []
    assert len(list(states.news([state(NOW + 9)], NOW + 9))) == 1


def test_states_are_looked_at_every_few_seconds_only() -> None:
    states = States(5_000)
    assert states.due(NOW)
    list(states.news([], NOW))
    assert not states.due(NOW + 5_000 - 1)
    assert states.due(NOW + 5_000)


def test_whoever_decided_something_sees_it_soon() -> None:
    states = States(5_000)
    list(states.news([], NOW))
    states.hurry()
    assert not states.due(NOW + SOON_MS - 1)
    assert states.due(NOW + SOON_MS)
    list(states.news([], NOW + SOON_MS))
    assert not states.due(NOW + 2 * SOON_MS)


def test_open_commands_are_counted_by_sender_and_state() -> None:
    journal = Journal()
    for number, (sender, known) in enumerate(
        [(SENDER, CommandResult.HELD), (SENDER, CommandResult.HELD), (OTHER, CommandResult.IN_DOUBT)]
    ):
        journal.record(entry(f"n{number}:1", known, sender=sender))
    journal.record(entry("over:1", CommandResult.ACCEPTED))
    assert open_by_sender([journal]) == {
        (SENDER, CommandResult.HELD): 2,
        (OTHER, CommandResult.IN_DOUBT): 1,
    }


def test_a_state_says_all_that_the_lanes_and_the_journal_know() -> None:
    open_ones = Counter({(SENDER, CommandResult.HELD): 2, (SENDER, CommandResult.IN_DOUBT): 1})
    assert state_of(SENDER, "owner-1", pace(), RATE, (), open_ones, NOW) == SenderState(
        sender=SENDER,
        owner="owner-1",
        at=NOW,
        segments_per_s=0.5,
        set_segments_per_s=2,
        tokens=-1.5,
        lanes=(
            LaneState(lane=Priority.URGENT, waiting=2, oldest_at=NOW - 1_500),
            LaneState(lane=Priority.BULK, waiting=0, oldest_at=None),
        ),
        in_flight=4,
        in_doubt=1,
        held=2,
        spent_today=70,
        daily_segments=100,
        nothing_before=NOW + 5,
        pauses=(PauseState(scope=ControlScope.TENANT, target="acme", reason="why (kim)", until=NOW + 9),),
    )


def test_a_sender_that_nothing_was_read_for_shows_its_set_rate_and_the_pauses_that_bind_it() -> None:
    pauses = (
        Pause(EVERYTHING, "all", None),
        Pause(Scope(Reach.SENDER, SENDER), "this", None),
        Pause(Scope(Reach.SENDER, OTHER), "another", None),
        Pause(Scope(Reach.TENANT, "acme"), "perhaps not its", None),
    )
    made = state_of(SENDER, "0", None, RATE, pauses, Counter(), NOW)
    assert [each.reason for each in made.pauses] == ["all", "this"]
    assert (made.segments_per_s, made.set_segments_per_s, made.daily_segments) == (2, 2, 100)
    assert (made.lanes, made.in_flight, made.held) == ((), 0, 0)
