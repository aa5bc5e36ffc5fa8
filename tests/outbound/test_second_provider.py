"""A second provider through the whole sink, on a broker: given to the worker by its name, no more."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest

from schemas.clients import Kafka
from schemas.identity import event_id
from schemas.records import OutboundCommand, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, CommandResult, ErrorClass, Priority
from sinks.outbound.config import OutboundConfig
from sinks.outbound.provider import Accepted, Canceled
from sinks.outbound.worker import Worker
from tests.outbound.examples import command
from tests.outbound.fake_provider import NAME, UNFIT, Pigeons
from tests.outbound.simulator import account_at, nowhere
from tests.outbound.world import World, on_the_embedded_broker
from tests.waiting import wait_until


@dataclass(slots=True)
class Running:
    world: World
    pigeons: Pigeons

    def sends(self, *commands: OutboundCommand) -> int:
        """How many calls there were for these."""
        return sum(("send", each.command_id) in self.pigeons.asked for each in commands)


@pytest.fixture(scope="module")
def running(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One process for all of these tests, each with senders of its own."""
    pigeons = Pigeons()
    with on_the_embedded_broker(tmp_path_factory.mktemp("second"), registry) as world:
        config = OutboundConfig(
            kafka=Kafka(bootstrap_servers=world.bootstrap),
            schema_registry_url=registry,
            twilio=account_at(nowhere()),
            public_base_url=nowhere(),
            streams_group="streams",
            sender_rate=100.0,
            sender_burst=100.0,
        )
        ready, workers = threading.Event(), list[Worker]()

        async def main() -> None:
            workers.append(Worker(config, lambda _: ready.set(), {NAME: pigeons}))
            await workers[0].run()

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        try:
            assert ready.wait(30)
            yield Running(world, pigeons)
        finally:
            workers[0].stopping = True
            thread.join(30)
        assert not thread.is_alive()
        assert ("close", "") in pigeons.asked


def by_pigeon(sender: str, **changes: object) -> OutboundCommand:
    return command(
        provider=NAME, sender=sender, recipient=f"+1202555{uuid.uuid4().int % 10_000:04}", **changes
    )


def test_a_command_goes_to_the_provider_it_names_and_its_answer_is_told(running: Running) -> None:
    wanted = by_pigeon("loft-1")
    running.world.command(wanted)
    told = running.world.await_result(wanted.command_id, CommandResult.ACCEPTED)
    assert (told.status, (told.sid or "").partition("-")[0]) == ("flying", "feather")


def test_what_waits_behind_a_refused_sender_is_not_burned_and_other_senders_go_on(running: Running) -> None:
    running.pigeons.answers.append(running.pigeons.refusal(UNFIT))
    refused = by_pigeon("loft-2")
    running.world.command(refused)
    told = running.world.await_result(refused.command_id, CommandResult.REJECTED)
    assert (told.error_code, told.error_class) == (UNFIT, ErrorClass.CONFIGURATION)
    behind, others = [by_pigeon("loft-2") for _ in range(5)], [by_pigeon("loft-3") for _ in range(5)]
    running.world.command(*behind, *others)
    for each in others:
        running.world.await_result(each.command_id, CommandResult.ACCEPTED)
    assert running.sends(*behind) == 0


def test_a_provider_that_is_not_there_refuses_one_command_and_keeps_the_rest_waiting(
    running: Running,
) -> None:
    lost = [command(provider="owl", sender="loft-4") for _ in range(3)]
    running.world.command(lost[0])
    told = running.world.await_result(lost[0].command_id, CommandResult.REJECTED)
    assert told.error_class is ErrorClass.CONFIGURATION
    behind = by_pigeon("loft-5")
    running.world.command(*lost[1:], behind)
    running.world.await_result(behind.command_id, CommandResult.ACCEPTED)
    assert [running.world.results(each.command_id) for each in lost[1:]] == [[], []]


def test_what_waits_at_the_provider_is_canceled_there_and_told_as_a_status(running: Running) -> None:
    wanted, sid = by_pigeon("loft-6"), "feather-scheduled"
    status = ProviderStatus(
        event_id=event_id("poll", sid),
        provider=NAME,
        account_sid="A",
        message_sid=sid,
        notification_id=wanted.notification_id,
        attempt=1,
        status="canceled",
        channel=wanted.channel,
        received_at=1,
        source="poll",
    )
    running.pigeons.answers.append(Accepted(sid, "scheduled", None))
    running.pigeons.cancellations.append(Canceled(status))
    running.world.command(wanted)
    running.world.await_result(wanted.command_id, CommandResult.ACCEPTED)
    cancel = msgspec.structs.replace(
        wanted, command_id=f"{wanted.command_id}:cancel", kind=CommandKind.CANCEL, body=None, segments=0
    )
    running.world.command(cancel, lane=Priority.URGENT)
    told = wait_until(
        lambda: [s for s in running.world.read(Topic.STATUS, ProviderStatus) if s.message_sid == sid],
        30,
        "the status of the canceled message",
    )
    assert told == [status]
    assert ("cancel", sid) in running.pigeons.asked
    assert running.world.results(wanted.command_id) == [CommandResult.ACCEPTED]


def test_a_failure_that_a_callback_told_of_stops_its_sender_before_the_next(running: Running) -> None:
    sent = by_pigeon("loft-7")
    running.world.command(sent)
    running.world.await_result(sent.command_id, CommandResult.ACCEPTED)
    heed = msgspec.structs.replace(
        sent, command_id=f"{sent.command_id}:heed:{UNFIT}", kind=CommandKind.HEED, body=None, error_code=UNFIT
    )
    running.world.command(heed, lane=Priority.URGENT)
    # On the same lane and partition, so that it is taken after it.
    never = by_pigeon("loft-7")
    canceled = msgspec.structs.replace(
        never, command_id=f"{never.command_id}:cancel", kind=CommandKind.CANCEL, body=None, segments=0
    )
    running.world.command(canceled, lane=Priority.URGENT)
    running.world.await_result(never.command_id, CommandResult.CANCELED)
    behind, other = by_pigeon("loft-7"), by_pigeon("loft-9")
    running.world.command(behind, other)
    running.world.await_result(other.command_id, CommandResult.ACCEPTED)
    assert running.sends(behind) == 0
