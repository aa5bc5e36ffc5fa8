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
    AttemptEvent,
    ConsentChange,
    NotificationOutcome,
    NotificationRequest,
    OutboundCommand,
    ProviderStatus,
    TimerTick,
)
from schemas.vocabulary import Channel, CommandKind, CommandResult, NotificationState
from streams.delivery import Event, decide
from streams.delivery.row import NotificationRow
from streams.effects import Emit
from tests.streams.builders import NID, POLICY, T0, callback, request, result, sid, suppress, verdict

CODES = [None, 21211, 21610, 30003, 30007, 63003, 20429]
R = CommandResult


class Step(NamedTuple):
    event: Event
    at: int


class Play(NamedTuple):
    """A history played: the row after each step, and what each step wrote."""

    rows: tuple[NotificationRow, ...]
    effects: tuple[tuple[Emit, ...], ...]

    @property
    def end(self) -> NotificationRow:
        return self.rows[-1]


def play(steps: list[Step], row: NotificationRow | None = None) -> Play:
    """The steps decided one after the other, from a row or from none."""
    rows = [row or NotificationRow()]
    written = []
    for step in steps:
        decided = decide(rows[-1], step.event, step.at, POLICY)
        rows.append(decided.row)
        written.append(decided.effects)
    return Play(tuple(rows), tuple(written))


def identified(effects: tuple[tuple[Emit, ...], ...]) -> dict[tuple[str, str], Emit]:
    """Effects by the id their receivers know copies by; of copies the last."""
    found: dict[tuple[str, str], Emit] = {}
    for effect in (each for step in effects for each in step):
        match effect.record:
            case NotificationOutcome() as outcome:
                identity = f"{outcome.notification_id}:{outcome.version}"
            case OutboundCommand() as command:
                identity = command.command_id
            case ConsentChange() as change:
                identity = change.change_id
            case AdmissionCheck() as check:
                identity = f"{check.notification_id}:{check.attempt}:{check.asked_at}"
            case other:
                raise AssertionError(f"the delivery processor wrote a {type(other).__name__}")
        found[effect.topic, identity] = effect
    return found


def is_conflict(effect: Emit) -> bool:
    outcome = effect.record
    return isinstance(outcome, NotificationOutcome) and outcome.state is NotificationState.CONFLICT


class World:
    """What waits for an answer, and which messages exist, while a history is being drawn."""

    def __init__(self) -> None:
        self.row = NotificationRow()
        self.clock = T0
        self.checks: set[int] = set()
        self.commanded: set[int] = set()
        self.doubted: set[int] = set()
        self.at_provider: set[int] = set()
        self.steps: list[Step] = []
        self.repeats = 0

    def happens(self, event: Event) -> None:
        if isinstance(event, TimerTick):
            self.clock = max(self.clock, event.due_at)
        self.steps.append(Step(event, self.clock))
        self.row, effects = decide(self.row, event, self.clock, POLICY)
        for effect in effects:
            if isinstance(effect.record, AdmissionCheck):
                self.checks.add(effect.record.attempt)
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
        if self.at_provider:
            found += ["callback"] * 8
        if self.row.due_at is not None:
            found += ["tick"] * 2
        return found


def draw(seed: int, length: int) -> list[Step]:
    """A request and up to `length` events after it, each with its broker time. The same seed gives the same
    history, a smaller length its beginning."""
    chance = random.Random(seed)
    world = World()
    world.happens(
        request(
            channels=chance.choice([(Channel.SMS,), (Channel.WHATSAPP, Channel.SMS)]),
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
    return world.steps


def _happen(world: World, chance: random.Random, what: str) -> None:
    now = world.clock - T0
    match what:
        case "repeat":
            world.repeats += 1
            world.happens(request(offset=world.repeats, content_hash=chance.choice(["c0", "c0", "c1"])))
        case "verdict":
            number = _taken(world.checks, chance)
            world.happens(verdict(number) if chance.random() < 0.9 else suppress(number))
        case "answer":
            number = _taken(world.commanded, chance)
            world.happens(_answer(world, chance, number, now))
        case "settled":
            number = _taken(world.doubted, chance)
            truth = R.ACCEPTED if number in world.at_provider else R.ABSENT
            world.happens(result(chance.choice([truth, truth, R.HELD]), number, now))
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


def histories() -> st.SearchStrategy[list[Step]]:
    return st.builds(draw, seed=st.integers(0, 2**32 - 1), length=st.integers(0, 40))


def conflict_ids(steps: list[Step]) -> set[str]:
    """Ids of the refusals these steps must cause."""
    hashes = {step.event.content_hash for step in steps if isinstance(step.event, NotificationRequest)}
    return {conflict_id(NID, each) for each in hashes - {"c0"}}
