"""Whatever keeper, journal, drain, broker and crashes do in turn: what was acknowledged arrives, in order."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingress.draining import Drain
from ingress.errors import NotKept
from ingress.journal import Journal
from ingress.journal.cursor import NAME as CURSOR
from ingress.journal.disk import Disk
from ingress.keeping import Keeper, Where
from ingress.publisher import Delivery
from tests.ingress.fake_broker import TOPIC, FakeBroker
from tests.ingress.ledger import judge

KEYS = "abc"
NOW_MS = 1_700_000_000_000
# Small enough to be full at times.
MOST_BYTES = 2_000
LONGEST_S = 10.0

ACTIONS = st.sampled_from(
    [
        *["post"] * 6,
        *["acknowledge"] * 3,
        *["breathe"] * 3,
        "time out",
        "time out, written",
        "time out, written later",
        "late",
        "outage",
        "crash",
        "crash, cursor lost",
    ]
)


class QuickDisk(Disk):
    """No power fails here."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


@dataclass(slots=True)
class World:
    """One ingress after another on one journal; a broker that outlives them."""

    directory: Path
    chance: random.Random
    broker: FakeBroker = field(default_factory=FakeBroker)
    late: list[Delivery] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(KEYS, 0)))
    asked: dict[str, asyncio.Future[Where]] = field(default_factory=dict)
    journal: Journal = field(init=False)
    keeper: Keeper = field(init=False)
    draining: asyncio.Task[None] = field(init=False)

    def start(self) -> None:
        wanted = asyncio.Event()
        self.journal = Journal.open(self.directory, most_bytes=MOST_BYTES, disk=QuickDisk())
        self.journal.start()
        self.keeper = Keeper(self.broker, self.journal, ack_timeout_s=600, on_journaled=wanted.set)
        drain = Drain(self.journal, self.broker, self.keeper, wanted, pause_s=0, refused_again_s=0)
        self.draining = asyncio.create_task(drain.run())

    async def end(self) -> None:
        self.draining.cancel()
        with suppress(asyncio.CancelledError):
            await self.draining
        await self.journal.close()

    async def act(self, action: str) -> None:
        waiting = list(self.broker.firsts())
        match action:
            case "post":
                self.post(self.chance.choice(KEYS))
            case "acknowledge" if waiting:
                self.broker.acknowledge(self.chance.choice(waiting))
            case "time out" | "time out, written" | "time out, written later" if waiting:
                delivery = self.chance.choice(waiting)
                if action == "time out, written":
                    self.broker.write(delivery)
                elif action == "time out, written later":
                    self.late.append(delivery)
                self.broker.fail(delivery)
            case "late" if self.late:
                self.broker.write(self.late.pop(self.chance.randrange(len(self.late))))
            case "outage":
                self.keeper.broker_away("all brokers are down")
            case "crash" | "crash, cursor lost":
                await self.crash(cursor_lost=action == "crash, cursor lost")
            case _:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        self.hear()

    def post(self, key: str) -> None:
        """The next step of this key, unless the last one is not answered yet."""
        if key not in self.asked:
            step = self.acknowledged[key]
            self.asked[key] = self.keeper.keep(TOPIC, key, b"%d" % step, NOW_MS)

    def hear(self) -> None:
        for key, answer in list(self.asked.items()):
            if answer.done():
                del self.asked[key]
                if answer.exception() is None:
                    self.acknowledged[key] += 1
                else:
                    assert isinstance(answer.exception(), NotKept)

    async def crash(self, *, cursor_lost: bool) -> None:
        """Answers that were not given are lost; what was handed to the broker may get there, now or later."""
        self.hear()
        for delivery in self.broker.waiting:
            delivery.on_report = lambda _: None
            if self.chance.random() < 0.5:
                self.late.append(delivery)
        self.broker.waiting.clear()
        self.asked.clear()
        await self.end()
        if cursor_lost:
            (self.directory / CURSOR).unlink(missing_ok=True)
        self.start()

    async def settle(self) -> None:
        """The broker is well again."""
        async with asyncio.timeout(LONGEST_S):
            while self.asked or self.journal.depth or self.keeper.to_journal is not None:
                self.broker.acknowledge_all()
                await asyncio.sleep(0.001)
                self.hear()


async def play(directory: Path, actions: list[str], seed: int) -> World:
    world = World(directory, random.Random(seed))
    world.start()
    try:
        for action in actions:
            await world.act(action)
        await world.settle()
    finally:
        await world.end()
    return world


# Long runs: short ones seldom have a drain that waits for one key while another goes ahead.
@settings(max_examples=80)
@given(st.lists(ACTIONS, min_size=40, max_size=80), st.integers(0, 2**32))
def test_what_was_acknowledged_arrives_and_first_copies_are_in_order(actions: list[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = asyncio.run(play(Path(directory), actions, seed))
    verdict = judge(world.acknowledged, ((key, int(value)) for key, value in world.broker.topic))
    assert (verdict.lost, verdict.disordered) == ((), ()), world.broker.topic
