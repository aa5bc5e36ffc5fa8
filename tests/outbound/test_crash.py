"""On a real Kafka: kill -9, a process that stood still, partitions that move. By the simulator's ledger
nothing is sent twice and nothing is lost.

Not on the embedded broker: that stores no offsets of a transaction and shows what was aborted.
"""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from sandbox.carrier.ledger import fetch_ledger
from schemas.records import OutboundCommand
from schemas.vocabulary import Priority
from tests.outbound.examples import command
from tests.outbound.ledger_check import hold_against_the_ledger
from tests.outbound.simulator import Simulator, simulating
from tests.outbound.world import World, on_a_real_broker, outbound
from tests.servers import ServerFailedError
from tests.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(180)]
SENDERS = [f"+1500555010{number}" for number in range(6)]
KILLS = 4
# Held only when there was time to settle everything else first, which may explain it.
PACE = ("--rate", "12", "--burst", "4", "--hold-after-s", "25")
QUICK = ("--session-timeout-s", "3", *PACE)


@pytest.fixture
def world(registry: str, tmp_path: Path) -> Iterator[World]:
    with on_a_real_broker(tmp_path, registry) as running:
        yield running


@pytest.fixture
def worst(tmp_path: Path, seed: int) -> Iterator[Simulator]:
    options = ("--chaos", "worst", "--time-scale", "0.01", "--seed", str(seed % 2**31))
    with simulating(tmp_path / "carrier", *options) as running:
        yield running


def some_commands(count: int, chance: random.Random) -> list[OutboundCommand]:
    """Several to the same people, some of them with equal texts."""
    return [
        command(
            notification_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            sender=chance.choice(SENDERS),
            recipient=f"+1202555{chance.randrange(100, 180):04d}",
            body=f"text {chance.randrange(4)}" if chance.random() < 0.2 else f"text {number + 10}",
        )
        for number in range(count)
    ]


def write(world: World, commands: list[OutboundCommand], chance: random.Random) -> None:
    """In all lanes, and some of them twice, as a producer that crashed would."""
    for each in commands:
        lane = chance.choice(list(Priority))
        for _ in range(1 + (chance.random() < 0.1)):
            world.command(each, lane=lane)


def requests_seen(simulator: Simulator) -> int:
    return len(fetch_ledger(simulator.url).requests)


def test_kill_9_at_random_moments_sends_nothing_twice_and_loses_nothing(
    world: World, worst: Simulator, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    commands = some_commands(300, chance)
    write(world, commands, chance)
    for _ in range(KILLS):
        with outbound(world, worst.url, tmp_path / "outbound", *PACE) as server:
            enough = requests_seen(worst) + chance.randrange(1, len(commands) // (KILLS + 2))
            wait_until(lambda: requests_seen(worst) >= enough, 30, f"{enough} requests")  # noqa: B023
            os.kill(server.pid, signal.SIGKILL)
    assert requests_seen(worst) < len(commands), "the kills came too late to show anything"
    with outbound(world, worst.url, tmp_path / "outbound", *PACE):
        told = world.await_final(commands, 60)
    counts = hold_against_the_ledger(commands, told, worst)
    assert counts.accepted > len(commands) // 2


def test_a_process_that_stood_still_calls_nothing_that_another_has_taken_over(
    world: World, worst: Simulator, tmp_path: Path, seed: int
) -> None:
    """It stands still longer than its session and than it takes to prove its commands absent."""
    chance = random.Random(seed)
    commands = some_commands(200, chance)
    last = command(sender=SENDERS[0], recipient="+12025550999")
    write(world, commands, chance)

    def one_stops_and_wakes_up_replaced() -> None:
        with (
            outbound(world, worst.url, tmp_path / "stopped", "--instance", "a", *QUICK) as stopped,
            killed_at_the_end(stopped.pid),
        ):
            enough = chance.randrange(10, len(commands) // 2)
            wait_until(lambda: requests_seen(worst) >= enough, 30, f"{enough} requests")
            os.kill(stopped.pid, signal.SIGSTOP)
            with outbound(world, worst.url, tmp_path / "successor", "--instance", "b", *QUICK):
                world.await_final(commands, 60)
                before = requests_seen(worst)
                os.kill(stopped.pid, signal.SIGCONT)
                wait_until(lambda: not runs(stopped.pid), 30, "the process to see that it was replaced")
                assert requests_seen(worst) == before
                world.command(last)
                world.await_final([*commands, last], 30)

    # Its next transaction is refused, and that is its end.
    with pytest.raises(ServerFailedError, match="TurnFailed"):
        one_stops_and_wakes_up_replaced()
    hold_against_the_ledger([*commands, last], world.attempts(), worst)


def runs(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@contextmanager
def killed_at_the_end(pid: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


def test_partitions_that_move_between_processes_lose_nothing_and_repeat_nothing(
    world: World, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    commands = some_commands(300, chance)
    write(world, commands, chance)
    slow = (*QUICK, "--rate", "5")
    first, second = ("--instance", "a", *slow), ("--instance", "b", *slow)
    with (
        simulating(tmp_path / "carrier", "--time-scale", "0.01") as simulator,
        outbound(world, simulator.url, tmp_path / "first", *first),
    ):
        wait_until(lambda: requests_seen(simulator) > 20, 30, "some calls")
        with outbound(world, simulator.url, tmp_path / "second", *second):
            moved = requests_seen(simulator)
            wait_until(lambda: requests_seen(simulator) > moved + 20, 30, "more calls")
        assert requests_seen(simulator) < len(commands), "it ended before anything could move back"
        told = world.await_final(commands, 60)
        counts = hold_against_the_ledger(commands, told, simulator)
        assert counts.accepted == len(commands)
        assert len(simulator.requests()) == len(commands)


def test_a_second_process_of_the_same_name_ends_the_first(
    world: World, worst: Simulator, tmp_path: Path
) -> None:
    """Even one with nothing to do, whose transactions nobody would refuse."""

    def both() -> None:
        with (
            outbound(world, worst.url, tmp_path / "first") as first,
            outbound(world, worst.url, tmp_path / "second"),
        ):
            wait_until(lambda: not runs(first.pid), 30, "the first to end")

    with pytest.raises(ServerFailedError, match="exit code 1"):
        both()
