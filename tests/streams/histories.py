"""Random but plausible histories of one notification, from a small model of everything around its processor.

The model answers what the processor asked (checks, sends, questions), lets messages that exist at the
provider report, lets deadlines come, and lets the producer repeat itself. What it never does is lie: a
message that the provider never took does not report, and absence is told of none that exists.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import strategies as st

from schemas.identity import conflict_id
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    DeliveryEvidence,
    NotificationOutcome,
    NotificationRequest,
    OutboundCommand,
    ProviderStatus,
    Step,
    TimerTick,
)
from schemas.vocabulary import Channel, CommandKind, CommandResult, NotificationState, Verdict
from streams.delivery import Event, decide
from streams.delivery.row import NotificationRow
from streams.effects import Emit
from tests.streams.builders import NID, POLICY, T0, callback, request, result, sid

CODES = [None, 21211, 21610, 30003, 30007, 30008, 63003, 63016, 20429]
R = CommandResult
CHAINS: list[tuple[Step, ...]] = [
    (Step(channel=Channel.SMS, body="hello"),),
    (Step(channel=Channel.WHATSAPP, body="hello"), Step(channel=Channel.SMS, body="hello")),
    (
        Step(channel=Channel.WHATSAPP, body="hello", content_sid="HX" + "1" * 32, wait_ms=700),
        Step(channel=Channel.MMS, body="hello", media_urls=("https://e.x/a.jpg",)),
        Step(channel=Channel.SMS, body="hello https://e.x/a.jpg"),
    ),
    (
        Step(channel=Channel.RCS, body="hello", wait_ms=300),
        Step(channel=Channel.SMS, body="hello", wait_ms=9),
    ),
]


class Told(NamedTuple):
    """One event, and the broker's time of its record."""

    event: Event
    at: int


History = list[Told]


class Play(NamedTuple):
    """A history played: the row after each event, and what each caused to be written."""

    rows: tuple[NotificationRow, ...]
    effects: tuple[tuple[Emit, ...], ...]

    @property
    def end(self) -> NotificationRow:
        return self.rows[-1]

    @property
    def written(self) -> list[Emit]:
        return [effect for effects in self.effects for effect in effects]


def play(history: History, row: NotificationRow | None = None) -> Play:
    """The events decided one after the other, from a row or from none."""
    rows = [row or NotificationRow()]
    written = []
    for told in history:
        decided = decide(rows[-1], told.event, told.at, POLICY)
        assert decided.row is not None, "no history lasts until it is forgotten"
        rows.append(decided.row)
        written.append(decided.effects)
    return Play(tuple(rows), tuple(written))


def identity(effect: Emit) -> str:
    """The id by which a receiver knows a second copy. Of outcomes, which are compacted, the last counts."""
    match effect.record:
        case NotificationOutcome() as outcome:
            return outcome.notification_id
        case OutboundCommand() as command:
            return command.command_id
        case ConsentChange() as change:
            return change.change_id
        case DeliveryEvidence() as evidence:
            return evidence.evidence_id
        case AdmissionCheck() as check:
            return f"{check.notification_id}:{check.attempt}:{check.check}"
        case other:
            raise AssertionError(f"the delivery processor wrote a {type(other).__name__}")


def identified(effects: list[Emit]) -> dict[tuple[str, str], Emit]:
    """Effects by topic and id; of copies the last."""
    return {(effect.topic, identity(effect)): effect for effect in effects}


def is_conflict(effect: Emit) -> bool:
    outcome = effect.record
    return isinstance(outcome, NotificationOutcome) and outcome.state is NotificationState.CONFLICT


class World:
    """What waits for an answer, and which messages exist, while a history is being drawn."""

    def __init__(self) -> None:
        self.row = NotificationRow()
        self.clock = T0
        self.checks: set[tuple[int, int]] = set()
        self.commanded: set[int] = set()
        self.doubted: set[int] = set()
        self.held: set[int] = set()
        self.at_provider: set[int] = set()
        self.history: History = []
        self.repeats = 0

    def happens(self, event: Event) -> None:
        if isinstance(event, TimerTick):
            self.clock = max(self.clock, event.due_at)
        self.history.append(Told(event, self.clock))
        row, effects = decide(self.row, event, self.clock, POLICY)
        assert row is not None
        self.row = row
        for effect in effects:
            if isinstance(effect.record, AdmissionCheck):
                self.checks.add((effect.record.attempt, effect.record.check))
            if isinstance(effect.record, OutboundCommand) and effect.record.kind is CommandKind.SEND:
                self.commanded.add(effect.record.attempt)

    def possible(self) -> list[str]:
        """What may happen next, the likelier the more often; nothing when only the producer could speak."""
        found = []
        if self.checks:
            found += ["verdict"] * 8
        if self.commanded:
            found += ["answer"] * 6
        if self.doubted:
            found += ["settled"] * 3
        if self.held:
            found += ["released"]
        if self.at_provider:
            found += ["callback"] * 8
        if self.row.closed is None and not self.row.is_reached:
            found += ["tick"] * 3
        return found


def draw(seed: int, length: int) -> History:
    """A request and up to `length` events after it. The same seed gives the same history, a smaller length
    its beginning."""
    chance = random.Random(seed)
    world = World()
    steps = chance.choice(CHAINS)
    world.happens(
        request(
            steps=steps,
            channels=tuple(step.channel for step in steps),
            send_at=chance.choice([None, None, None, T0 + 500]),
            expires_at=chance.choice([None, None, None, T0 + 2_000]),
        )
    )
    for _ in range(length):
        world.clock += chance.choice([0, 0, 1, 50, 300])
        possible = world.possible()
        if chance.random() < 0.1:
            possible = ["repeat"]
        if possible:
            _happen(world, chance, chance.choice(possible))
        if chance.random() < 0.25 and world.commanded - world.at_provider:
            world.at_provider.add(min(world.commanded))  # its callbacks may come before the answer
    return world.history


def _happen(world: World, chance: random.Random, what: str) -> None:
    now = world.clock - T0
    match what:
        case "repeat":
            world.repeats += 1
            world.happens(request(offset=world.repeats, content_hash=chance.choice(["c0", "c0", "c1"])))
        case "verdict":
            world.happens(_verdict(world, chance))
        case "answer":
            number = _taken(world.commanded, chance)
            world.happens(_answer(world, chance, number, now))
        case "settled":
            number = _taken(world.doubted, chance)
            truth = R.ACCEPTED if number in world.at_provider else R.ABSENT
            what_said = chance.choice([truth, truth, R.HELD])
            if what_said is R.HELD:
                world.held.add(number)
            world.happens(result(what_said, number, now))
        case "released":
            number = _taken(world.held, chance)
            world.happens(result(R.ACCEPTED if number in world.at_provider else R.ABSENT, number, now))
        case "callback":
            world.happens(_report(chance, chance.choice(sorted(world.at_provider)), now))
        case "tick":
            due_at = world.row.due_at
            assert due_at is not None
            world.happens(TimerTick(notification_id=NID, due_at=due_at, fired_at=due_at))


def _taken(waiting: set[int], chance: random.Random) -> int:
    number = chance.choice(sorted(waiting))
    waiting.discard(number)
    return number


def _verdict(world: World, chance: random.Random) -> AdmissionVerdict:
    attempt, check = chance.choice(sorted(world.checks))
    world.checks.discard((attempt, check))
    kind = chance.choices(list(Verdict), [18, 2, 2, 1])[0]
    return AdmissionVerdict(
        notification_id=NID,
        attempt=attempt,
        check=check,
        verdict=kind,
        reason=None if kind is Verdict.ADMIT else f"because-{kind}",
        decided_at=world.clock,
        until=world.clock + 400 if kind is Verdict.DEFER else None,
        not_after=world.clock + 5_000 if kind is Verdict.ADMIT and chance.random() < 0.2 else None,
    )


def _answer(world: World, chance: random.Random, number: int, now: int) -> AttemptEvent:
    what = chance.choice(
        [R.ACCEPTED, R.ACCEPTED, R.IN_DOUBT, R.IN_DOUBT, R.REJECTED, R.EXPIRED, R.SUPPRESSED]
    )
    if number in world.at_provider and what is not R.IN_DOUBT:
        what = R.ACCEPTED
    if what is R.ACCEPTED:
        world.at_provider.add(number)
    if what is R.IN_DOUBT:
        world.doubted.add(number)
        if chance.random() < 0.5:
            world.at_provider.add(number)
    code = chance.choice(CODES) if what is R.REJECTED else None
    return result(what, number, now, error_code=code)


def _report(chance: random.Random, number: int, now: int) -> ProviderStatus:
    """A callback, or an answer to a question, about a message that exists."""
    status = chance.choice(
        ["queued", "sending", "sent", "sent", "delivered", "read", "undelivered", "failed", "strange"]
    )
    return callback(
        status,
        number,
        now - chance.choice([0, 0, 10, 200]),
        error_code=chance.choice(CODES) if status in ("undelivered", "failed") else None,
        source=chance.choice(["callback", "callback", "poll"]),
        message_sid=sid(number),
    )


def histories(longest: int = 40) -> st.SearchStrategy[History]:
    return st.builds(draw, seed=st.integers(0, 2**32 - 1), length=st.integers(0, longest))


def conflict_ids(history: History) -> set[str]:
    """Ids of the refusals these events must cause."""
    hashes = {told.event.content_hash for told in history if isinstance(told.event, NotificationRequest)}
    return {conflict_id(NID, each) for each in hashes - {"c0"}}
