"""What the sink told of each command, held against the simulator's ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.records import AttemptEvent, OutboundCommand
from schemas.vocabulary import CommandResult
from tests.outbound.simulator import Simulator
from tests.outbound.world import FINAL


class Counts(NamedTuple):
    accepted: int
    refused: int
    held: int


class _Like(NamedTuple):
    """Commands that nobody can tell apart by their messages."""

    sender: str
    recipient: str
    body: str | None


def hold_against_the_ledger(
    commands: list[OutboundCommand], told: Mapping[str, list[AttemptEvent]], simulator: Simulator
) -> Counts:
    """Nothing sent twice, nothing lost, nothing told that is not so, and every held one explained."""
    made = simulator.accepted()
    assert {name: sids for name, sids in made.items() if len(sids) > 1} == {}, "sent twice"
    by_id = {each.command_id: each for each in commands}
    assert set(made) <= set(by_id)
    finals = {name: [event for event in told.get(name, []) if event.result in FINAL] for name in by_id}
    assert {name: events for name, events in finals.items() if len(events) != 1} == {}, "lost, or told twice"

    of_like: dict[_Like, set[str]] = {}
    of_pair: dict[tuple[str, str], set[str]] = {}
    for name, sids in made.items():
        of_like.setdefault(_like(by_id[name]), set()).update(sids)
        of_pair.setdefault((by_id[name].sender, by_id[name].recipient), set()).update(sids)
    results = {name: events[0] for name, events in finals.items()}
    claimed = [event.sid for event in results.values() if event.result is CommandResult.ACCEPTED]
    assert len(set(claimed)) == len(claimed), "one message told of two commands"
    held = 0
    for name, event in results.items():
        each = by_id[name]
        match event.result:
            case CommandResult.ACCEPTED:
                assert event.sid in of_like[_like(each)], (name, event)
                assert name in made, (name, event)
            case CommandResult.HELD:
                held += 1
                unclaimed = of_pair.get((each.sender, each.recipient), set()) - set(claimed)
                assert unclaimed, f"{name} is held, and no message of unknown origin explains it"
            case _:
                assert name not in made, (name, event)
    return Counts(len(claimed), len(results) - len(claimed) - held, held)


def _like(each: OutboundCommand) -> _Like:
    return _Like(each.sender, each.recipient, each.body)
