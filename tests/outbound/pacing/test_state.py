"""What can be seen of a sender: its rate now, what waits and for how long, what holds it."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Priority
from sinks.outbound.pacing.day import Day
from sinks.outbound.pacing.pauses import EVERYTHING, Pause, Reach, Scope
from sinks.outbound.pacing.rate import PACIFIC, Rates, SenderRate, UnusableRate
from sinks.outbound.pacing.state import LanePace
from tests.outbound.pacing.examples import T0, go, lanes_at, waiting

RATE = SenderRate(segments_per_s=4.0, burst=8.0, daily_segments=100)


def test_a_senders_state_tells_its_rate_its_lanes_and_what_it_spent() -> None:
    lanes = lanes_at(own={"+1": RATE})
    for number in range(9):
        lanes.add(waiting(number, Priority.BULK, created_at=T0 - 60_000 + number), T0)
    begun = go(lanes, T0)
    lanes.over(begun[0].command.command_id, T0)
    lanes.add(waiting(20, Priority.URGENT, created_at=T0 - 5, segments=3), T0)
    state = lanes.state("+1", T0)
    assert state is not None
    assert (state.segments_per_s, state.rate, state.in_flight, state.spent_today) == (4.0, RATE, 7, 8)
    assert state.tokens == pytest.approx(0.0)
    assert state.lanes == (
        LanePace(Priority.URGENT, 1, 5),
        LanePace(Priority.NORMAL, 0, None),
        LanePace(Priority.BULK, 1, 60_000 - 8),
    )
    assert state.day_ends_at == Day.around(T0, PACIFIC).end
    assert (state.pauses, state.nothing_before) == ((), None)


def test_it_tells_a_slow_down_and_how_long_the_provider_asked_to_wait() -> None:
    lanes = lanes_at(own={"+1": RATE})
    lanes.add(waiting(0), T0)
    lanes.release(9, T0)
    lanes.slow_down("+1", T0, 7_000)
    state = lanes.state("+1", T0 + 1_000)
    assert state is not None
    assert (state.segments_per_s, state.nothing_before, state.tokens) == (2.0, T0 + 7_000, 0.0)
    later = lanes.state("+1", T0 + 7_000 + 20_000)
    assert later is not None
    assert (later.segments_per_s, later.nothing_before) == (pytest.approx(2.8), None)


def test_it_names_every_pause_that_concerns_it_and_no_other() -> None:
    lanes = lanes_at()
    lanes.add(waiting(0, sender="+1", tenant="a"), T0)
    lanes.add(waiting(1, sender="+2", tenant="b"), T0)
    concerned = [Scope(Reach.SENDER, "+1"), Scope(Reach.TENANT, "a")]
    for scope in (*concerned, Scope(Reach.SENDER, "+2"), Scope(Reach.TENANT, "b")):
        lanes.pause(scope, "so")
    lanes.resume(Scope(Reach.SENDER, "+1"))
    lanes.release(9, T0)
    lanes.pause(Scope(Reach.SENDER, "+1"), "so")
    lanes.pause(EVERYTHING, "so", T0 + 5)
    state = lanes.state("+1", T0)
    assert state is not None
    assert set(state.pauses) == {
        *(Pause(scope, "so", None) for scope in concerned),
        Pause(EVERYTHING, "so", T0 + 5),
    }


def test_of_a_sender_that_is_not_known_here_there_is_nothing_to_tell() -> None:
    assert lanes_at().state("+1", T0) is None


def test_a_sender_has_its_own_rate_whatever_channel_prefix_it_is_written_with() -> None:
    rates = Rates(SenderRate(), {"+1": RATE})
    assert rates.of("+1") is rates.of("whatsapp:+1") is RATE
    assert rates.of("+2") == SenderRate()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"segments_per_s": 0.0}, "segments_per_s"),
        ({"segments_per_s": float("nan")}, "segments_per_s"),
        ({"burst": 0.5}, "burst"),
        ({"burst": float("inf")}, "burst"),
        ({"daily_segments": 0}, "daily_segments"),
        ({"concurrency": 0}, "concurrency"),
        ({"day_zone": "Mars/Olympus"}, "day_zone"),
    ],
)
def test_a_rate_that_limits_nothing_or_everything_is_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UnusableRate, match=named):
        SenderRate(**wrong)  # type: ignore[arg-type]
