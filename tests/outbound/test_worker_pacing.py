"""The sink as a process keeps its senders' paces apart, also where they share a partition."""

from __future__ import annotations

from pathlib import Path

from schemas.vocabulary import CommandResult, Priority
from tests.outbound.examples import command
from tests.outbound.simulator import Simulator
from tests.outbound.world import on_the_embedded_broker, outbound

QUEUED = 3_000


def test_a_slow_senders_long_queue_holds_up_nobody_behind_it(
    registry: str, simulator: Simulator, tmp_path: Path
) -> None:
    """Of twelve senders on four partitions some are on the slow one's, and more waits there than a share."""
    slow = [
        command(sender="+15005550100", recipient=f"+1202560{number:04d}", body="slow")
        for number in range(QUEUED)
    ]
    others = [command(sender=f"+150055502{number:02d}", body="other") for number in range(12)]
    with on_the_embedded_broker(tmp_path, registry) as world:
        world.command(*slow, lane=Priority.BULK)
        world.command(*others, lane=Priority.BULK)
        with outbound(world, simulator.url, tmp_path / "outbound", "--rate", "1", "--burst", "1"):
            told = world.await_final(others, 30)
            urgent = command(sender="+15005550100", recipient="+12025690000", body="urgent")
            world.command(urgent, lane=Priority.URGENT)
            world.await_result(urgent.command_id, CommandResult.ACCEPTED)
            ended = world.attempts().keys() & {each.command_id for each in slow}
    assert {told[each.command_id][-1].result for each in others} == {CommandResult.ACCEPTED}
    assert len(ended) < 100
