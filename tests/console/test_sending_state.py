"""Which pauses hold, where partitions differ."""

from __future__ import annotations

import itertools

import pytest

from notifystream.sending_state import Decided, in_force
from schemas.records import OutboundControl
from schemas.vocabulary import ControlAction, ControlScope
from sinks.outbound.controls import alarm, key_of
from sinks.outbound.pacing.pauses import Reach, Scope

NOW = 1_790_000_000_000
ACCOUNT = Scope(Reach.PROVIDER, "twilio")


def by_a_person(action: ControlAction, at: int) -> OutboundControl:
    return OutboundControl(
        control_id=f"{action}{at}",
        action=action,
        scope=ControlScope.PROVIDER,
        target=ACCOUNT.name,
        by="kim",
        reason="looked",
        at=at,
    )


RESUMED = by_a_person(ControlAction.RESUME, NOW)
ALARM = alarm(ACCOUNT, "twilio answers 20003", NOW + 5)


@pytest.mark.parametrize("order", list(itertools.permutations([RESUMED, ALARM, RESUMED])))
def test_a_pause_on_one_partition_holds_whichever_is_read_last(order: tuple[OutboundControl, ...]) -> None:
    assert Decided(in_force((key_of(each), each) for each in order)).pauses(NOW + 9) == (ALARM,)


def test_what_a_person_has_resumed_everywhere_holds_nowhere() -> None:
    later = by_a_person(ControlAction.RESUME, NOW + 9)
    assert Decided(in_force([(key_of(later), later)] * 3)).pauses(NOW + 10) == ()
