"""A call that could not begin in time after its journal entry is not made, however late its commit ends."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from schemas.clients import Kafka
from schemas.vocabulary import CommandResult
from sinks.outbound.config import OutboundConfig
from sinks.outbound.turn import Transactions, Turn
from sinks.outbound.worker import Worker
from tests.outbound.examples import command
from tests.outbound.simulator import Simulator, nowhere
from tests.outbound.world import on_the_embedded_broker

pytestmark = pytest.mark.anyio
WINDOW_S = 0.5


async def test_a_commit_that_outlasts_the_window_makes_its_calls_too_late(
    registry: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process stands still there: another may have proved the command absent by now."""
    wanted = command(recipient="+12025550388")
    commit = Transactions.commit

    def slow(self: Transactions, turn: Turn, offsets: list[TopicPartition], group: object) -> None:
        commit(self, turn, offsets, group)
        if any(entry.state is CommandResult.STARTED for _, entry in turn.entries):
            threading.Event().wait(WINDOW_S * 1.5)

    monkeypatch.setattr(Transactions, "commit", slow)
    with on_the_embedded_broker(tmp_path, registry) as world:
        config = OutboundConfig(
            kafka=Kafka(bootstrap_servers=world.bootstrap),
            schema_registry_url=registry,
            twilio=simulator.account(connect_timeout_s=1, read_timeout_s=1),
            public_base_url=nowhere(),
            streams_group="streams",
            call_window_s=WINDOW_S,
            settle_after_s=60,
        )
        ready = asyncio.Event()
        worker = Worker(config, lambda _: ready.set())
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(ready.wait(), 30)
        world.command(wanted)
        told = await asyncio.to_thread(world.await_result, wanted.command_id, CommandResult.ABSENT)
        worker.stopping = True
        await running
    assert told.detail == "not begun in time"
    assert simulator.requests(wanted.command_id) == []
