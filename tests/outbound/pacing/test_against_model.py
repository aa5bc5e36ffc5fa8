"""Whatever happens, the lanes let go what a model lets go that searches everything every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.vocabulary import Priority
from sinks.outbound.lanes import Lanes, Waiting
from sinks.outbound.pacing.bucket import LATE_MS, UNIT, Bucket
from sinks.outbound.pacing.pauses import EVERYTHING, Reach, Scope
from sinks.outbound.pacing.rate import Rates, SenderRate
from sinks.outbound.pacing.spending import Spending
from tests.outbound.pacing.examples import HOUR, ORDER, T0, go, numbers, waiting
from tests.outbound.pacing.model import Model

SENDERS, RECIPIENTS, TENANTS = ["+1", "+2"], ["+12", "+34"], ["a", "b"]
RATES = st.builds(
    SenderRate,
    segments_per_s=st.sampled_from([0.25, 1.0, 3.75, 10.0, 400.0]),
    burst=st.sampled_from([1.0, 2.5, 5.0, 40.0]),
    daily_segments=st.sampled_from([None, None, 5, 20]),
    day_zone=st.just("UTC"),
    concurrency=st.sampled_from([None, 1, 2]),
)
SCOPES = st.sampled_from(
    [
        EVERYTHING,
        Scope(Reach.SENDER, "+1"),
        Scope(Reach.TENANT, "a"),
        Scope(Reach.TENANT, "b"),
        Scope(Reach.PROVIDER, "twilio"),
        Scope(Reach.PROVIDER, "other"),
    ]
)
ADDS = st.tuples(
    st.just("add"),
    st.fixed_dictionaries(
        {
            "lane": st.sampled_from(ORDER),
            "sender": st.sampled_from(SENDERS),
            "recipient": st.sampled_from(RECIPIENTS),
            "tenant": st.sampled_from(TENANTS),
            "provider": st.sampled_from(["twilio", "twilio", "other"]),
            "segments": st.sampled_from([1, 1, 1, 2, 7]),
            "lasts": st.sampled_from([50, 5_000, 100 * HOUR, 100 * HOUR]),
        }
    ),
)
EVENTS = st.lists(
    st.one_of(
        ADDS,
        ADDS,
        ADDS,
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 37, 250, 1_000, 60_000, 8 * HOUR])),
        st.tuples(st.just("over"), st.integers(0, 5)),
        st.tuples(st.just("pause"), SCOPES),
        st.tuples(st.just("resume"), SCOPES),
    ),
    min_size=20,
    max_size=80,
)


class Both:
    """The lanes and the model, told the same."""

    def __init__(self, rate: SenderRate) -> None:
        self.now = T0
        self.lanes = Lanes(Rates(rate), ahead_ms=0)
        self.lanes.take_over(0, Spending(), T0)
        self.model = Model(rate, T0)
        self.added: list[Waiting] = []

    def tell(self, kind: str, what: Any) -> None:
        doings: dict[str, Callable[[Any], None]] = {
            "add": self._add,
            "wait": self._wait,
            "over": self._over,
            "pause": self._pause,
            "resume": self._resume,
        }
        doings[kind](what)

    def turn(self) -> list[Waiting]:
        """Take a turn of both and hold one against the other."""
        next_at = self.lanes.next_at()
        release = self.lanes.release(1_000, self.now)
        assert set(numbers(release.expired)) == self.model.expire(self.now)
        self.lanes.journaled(release.called_up)
        begun = self.lanes.begin(self.now)
        went: dict[str, list[int]] = {}
        for each in begun:
            went.setdefault(each.command.sender, []).append(each.offset)
        assert went == self.model.turn(self.now)
        if begun or release.expired:
            assert next_at is not None
            assert next_at <= self.now
        assert len(self.lanes) == len(self.model.waiting)
        return begun

    def _add(self, of: dict[str, Any]) -> None:
        lasts = of.pop("lasts")
        one = waiting(len(self.added), **of, not_after=self.now + lasts)
        of["lasts"] = lasts
        self.added.append(one)
        self.lanes.add(one, self.now)
        self.model.waiting.append(one)

    def _wait(self, ms: int) -> None:
        self.now += ms

    def _over(self, which: int) -> None:
        if which < len(self.model.under_way):
            self.lanes.over(self.model.under_way.pop(which).command.command_id, self.now)

    def _pause(self, scope: Scope) -> None:
        self.lanes.pause(scope, "because")
        self.model.paused.add(scope)

    def _resume(self, scope: Scope) -> None:
        assert self.lanes.resume(scope) == (scope in self.model.paused)
        self.model.paused.discard(scope)


@settings(max_examples=400)
@given(RATES, EVENTS)
def test_the_lanes_let_go_what_the_model_lets_go(rate: SenderRate, events: list[tuple[str, Any]]) -> None:
    both = Both(rate)
    for kind, what in events:
        both.tell(kind, what)
        both.turn()


@settings(max_examples=150)
@given(RATES, EVENTS)
def test_nobody_waits_for_ever(rate: SenderRate, events: list[tuple[str, Any]]) -> None:
    """Once nothing is paused and calls end, everything has gone or expired; by looking only when told to."""
    both = Both(rate)
    for kind, what in events:
        both.tell(kind, what)
        both.turn()
    for scope in tuple(both.model.paused):
        both.tell("resume", scope)
    for _ in range(2_000):
        while both.model.under_way:
            both.tell("over", 0)
        both.turn()
        next_at = both.lanes.next_at()
        if next_at is None:
            break
        both.now = max(both.now, next_at)
    assert not both.model.waiting
    assert len(both.lanes) == 0


COMMANDS = st.lists(
    st.tuples(st.sampled_from(SENDERS), st.sampled_from(ORDER), st.sampled_from([1, 1, 1, 2, 3])),
    min_size=1,
    max_size=80,
)


@settings(max_examples=100)
@given(
    COMMANDS,
    st.sampled_from([1.0, 10.0, 100.0, 400.0]),
    st.sampled_from([1.0, 3.0, 10.0]),
    # One long one among them, so that the slowest senders come to their end, too.
    st.lists(st.integers(1, 400), max_size=20).map(lambda pauses: [*pauses, 400]),
    st.integers(0, 50),
    st.integers(1, 12),
)
def test_no_window_sees_more_calls_than_the_bucket_however_late_turns_and_commits_are(
    commands: list[tuple[str, Priority, int]],
    rate: float,
    burst: float,
    pauses: list[int],
    commit_ms: int,
    limit: int,
) -> None:
    lanes = Lanes(Rates(SenderRate(segments_per_s=rate, burst=burst)))
    lanes.take_over(0, Spending(), T0)
    for number, (sender, lane, segments) in enumerate(commands):
        lanes.add(waiting(number, lane, sender=sender, segments=segments), T0)
    went: dict[str, list[tuple[int, int]]] = {}
    now, turn = T0, 0

    def begin() -> None:
        for each in lanes.begin(now):
            went.setdefault(each.command.sender, []).append((now, each.cost))
            lanes.over(each.command.command_id, now)

    while lanes or lanes.busy():
        now += pauses[turn % len(pauses)]
        turn += 1
        begin()
        called_up = lanes.release(limit, now).called_up
        now += commit_ms
        begin()
        lanes.journaled(called_up)
        begin()
        assert turn < 20_000
    room = rate * LATE_MS / 1000
    depth, reach = max(burst, 1 + room), Bucket.empty(rate, burst, T0).reach / UNIT
    for calls in went.values():
        for first in range(len(calls)):
            total = 0
            for moment, cost in calls[first:]:
                total += cost
                bound = depth + rate * (moment - calls[first][0]) / 1000 + max(0.0, cost - reach)
                assert total <= bound + 1e-6


def test_the_model_can_tell() -> None:
    both = Both(SenderRate(segments_per_s=1.0, burst=1.0))
    both.tell("wait", 5_000)
    one = waiting(0)
    both.model.waiting.append(one)
    assert both.model.turn(both.now) == {"+1": [0]}
    assert go(both.lanes, both.now) == []
