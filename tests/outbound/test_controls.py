"""What people decide holds until they decide otherwise, whoever owns the sender, however often it is read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import OutboundControl
from schemas.vocabulary import CommandResult, ControlAction, ControlScope
from sinks.outbound.controls import Closing, Controls, Numbered, alarm, closing
from sinks.outbound.pacing.pauses import EVERYTHING, Reach, Scope
from tests.outbound.examples import entry

NOW = 1_790_000_000_000
SENDER = Scope(Reach.SENDER, "+15005550006")
TENANT = Scope(Reach.TENANT, "acme")
_ids = itertools.count()


class Lanes:
    """What is paused, and how often anything was resumed."""

    def __init__(self) -> None:
        self.paused: dict[Scope, tuple[str, int | None]] = {}
        self.resumed: list[Scope] = []

    def pause(self, scope: Scope, reason: str, until: int | None) -> None:
        self.paused[scope] = (reason, until)

    def resume(self, scope: Scope) -> bool:
        self.resumed.append(scope)
        return self.paused.pop(scope, None) is not None


def control(action: str, scope: Scope, until: int | None = None, at: int = NOW) -> OutboundControl:
    return OutboundControl(
        control_id=f"c{next(_ids)}",
        action=ControlAction(action),
        scope=ControlScope(scope.reach.value),
        target=scope.name,
        by="kim",
        reason="because",
        at=at,
        until=until,
    )


def decision(action: str, command_id: str = "a:1") -> OutboundControl:
    return OutboundControl(
        control_id="d",
        action=ControlAction(action),
        scope=ControlScope.COMMAND,
        target=command_id,
        by="kim",
        reason="looked",
        at=NOW,
    )


def numbered(*controls: OutboundControl) -> tuple[Numbered, ...]:
    return tuple(Numbered(offset, each) for offset, each in enumerate(controls))


def test_a_pause_holds_with_its_reason_and_who_it_was_until_it_is_resumed() -> None:
    lanes = Lanes()
    controls = Controls(lanes)
    controls.take_over(0, (), NOW)
    controls.take(0, 0, control("pause", SENDER), NOW)
    assert lanes.paused == {SENDER: ("because (kim)", None)}
    controls.take(0, 1, control("resume", SENDER), NOW)
    assert lanes.paused == {}


@pytest.mark.parametrize("scope", [SENDER, TENANT, Scope(Reach.PROVIDER, "twilio"), EVERYTHING])
def test_a_pause_is_there_again_after_a_restart_before_anything_is_read(scope: Scope) -> None:
    lanes = Lanes()
    Controls(lanes).take_over(3, numbered(control("pause", scope)), NOW)
    assert set(lanes.paused) == {scope}


def test_a_pause_whose_time_is_over_is_not_begun_again() -> None:
    lanes = Lanes()
    written = numbered(control("pause", SENDER, until=NOW), control("pause", TENANT, until=NOW + 1))
    Controls(lanes).take_over(0, written, NOW)
    assert lanes.paused == {TENANT: ("because (kim)", NOW + 1)}


def test_what_is_read_again_after_a_takeover_changes_nothing() -> None:
    """The group's offsets stand behind the end of what was read whole: the old resume comes once more."""
    lanes = Lanes()
    controls = Controls(lanes)
    resume, pause = control("resume", SENDER), control("pause", SENDER)
    controls.take_over(0, numbered(resume, pause), NOW)
    controls.take(0, 0, resume, NOW)
    controls.take(0, 1, pause, NOW)
    assert set(lanes.paused) == {SENDER}
    assert lanes.resumed == []


def test_the_order_in_the_topic_counts_and_not_the_clocks_of_those_who_decide() -> None:
    lanes = Lanes()
    written = numbered(control("pause", SENDER, at=NOW), control("resume", SENDER, at=NOW - 3_600_000))
    Controls(lanes).take_over(0, written, NOW)
    assert lanes.paused == {}


def test_a_pause_of_all_holds_until_every_partition_of_the_process_has_heard_of_its_end() -> None:
    lanes = Lanes()
    controls = Controls(lanes)
    pause, resume = control("pause", EVERYTHING), control("resume", EVERYTHING)
    controls.take_over(0, numbered(pause), NOW)
    controls.take_over(1, numbered(pause), NOW)
    controls.take(0, 1, resume, NOW)
    assert set(lanes.paused) == {EVERYTHING}
    controls.take(1, 1, resume, NOW)
    assert lanes.paused == {}


def test_a_partition_given_away_takes_its_pauses_with_it_and_leaves_those_of_the_others() -> None:
    lanes = Lanes()
    controls = Controls(lanes)
    both = control("pause", TENANT)
    controls.take_over(0, numbered(both, control("pause", SENDER)), NOW)
    controls.take_over(1, numbered(both), NOW)
    controls.let_go(0, NOW)
    assert set(lanes.paused) == {TENANT}


def test_a_resume_also_ends_what_no_person_had_paused() -> None:
    """A refusal paused the sender; a person has mended what was wrong."""
    lanes = Lanes()
    controls = Controls(lanes)
    controls.take_over(0, (), NOW)
    lanes.pause(SENDER, "twilio answers 30034", None)
    controls.take(0, 0, control("resume", SENDER), NOW)
    assert lanes.paused == {}


def test_paused_senders_are_known_even_when_nothing_waits_for_them() -> None:
    controls = Controls(Lanes())
    controls.take_over(0, numbered(control("pause", SENDER), control("pause", TENANT)), NOW)
    assert controls.paused_senders() == {SENDER.name}


ACTS = st.lists(
    st.tuples(st.sampled_from(["pause", "resume"]), st.sampled_from([SENDER, TENANT, EVERYTHING])),
    max_size=12,
)


@given(ACTS, st.data())
def test_however_much_was_read_before_a_takeover_the_last_word_on_each_counts(
    acts: list[tuple[str, Scope]], data: st.DataObject
) -> None:
    written = numbered(*(control(action, scope) for action, scope in acts))
    last = {scope: action for action, scope in acts}
    lanes = Lanes()
    controls = Controls(lanes)
    known = data.draw(st.integers(0, len(written)), "read whole")
    again_from = data.draw(st.integers(0, known), "committed")
    controls.take_over(0, written[:known], NOW)
    for offset, each in written[again_from:]:
        controls.take(0, offset, each, NOW)
    assert set(lanes.paused) == {scope for scope, action in last.items() if action == "pause"}


def test_a_released_command_is_taken_for_not_sent_on_that_persons_word() -> None:
    held = entry("a:1", CommandResult.HELD)
    decided = closing(decision("release"), held)
    assert decided == Closing(held, CommandResult.RELEASED, "released by kim: looked")


def test_a_dropped_command_stays_unknown_for_good() -> None:
    decided = closing(decision("drop"), entry("a:1", CommandResult.HELD))
    assert decided is not None
    assert decided.result is CommandResult.DROPPED


@pytest.mark.parametrize("state", [CommandResult.STARTED, CommandResult.IN_DOUBT])
@pytest.mark.parametrize("action", ["release", "drop"])
def test_only_what_is_held_can_be_decided_about(action: str, state: CommandResult) -> None:
    assert closing(decision(action), entry("a:1", state)) is None


@pytest.mark.parametrize("action", ["release", "drop"])
def test_a_command_that_has_ended_meanwhile_has_nothing_left_to_decide(action: str) -> None:
    assert closing(decision(action), None) is None


def test_the_sinks_own_pause_is_one_like_a_persons_and_ends_when_somebody_resumes() -> None:
    lanes = Lanes()
    controls = Controls(lanes)
    controls.take_over(0, numbered(alarm(SENDER, "twilio answers 30034", NOW)), NOW)
    assert lanes.paused == {SENDER: ("twilio answers 30034 (notifystream outbound)", None)}
    controls.take(0, 1, control("resume", SENDER, at=NOW + 5), NOW + 5)
    assert lanes.paused == {}


def test_when_a_scope_was_last_resumed_is_known_as_long_as_nobody_pauses_it_again() -> None:
    controls = Controls(Lanes())
    controls.take_over(0, numbered(control("pause", TENANT), control("resume", TENANT, at=NOW + 5)), NOW)
    controls.take_over(1, numbered(control("resume", TENANT, at=NOW + 3)), NOW)
    assert controls.resumed_at(TENANT) == NOW + 5
    assert controls.resumed_at(SENDER) == 0
    controls.take(0, 2, control("pause", TENANT, at=NOW + 6), NOW + 6)
    assert controls.resumed_at(TENANT) == NOW + 3
