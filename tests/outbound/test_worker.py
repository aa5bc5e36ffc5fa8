"""The sink as a process: commands in, attempts out, each called at most once and never against the rules."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import httpx2
import msgspec
import pytest

from sandbox.carrier.magic import Magic
from schemas.identity import event_id
from schemas.records import ConsentChange, DeadLetter, InboundMessage, OutboundCommand, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import (
    Channel,
    CommandKind,
    CommandResult,
    Consent,
    ConsentGroup,
    ErrorClass,
    Priority,
)
from tests.outbound.examples import command, now_ms
from tests.outbound.simulator import ACCOUNT, KEY, SECRET, Simulator
from tests.outbound.world import World, on_the_embedded_broker, outbound
from tests.waiting import wait_until

ACCEPTED, IN_DOUBT, HELD = CommandResult.ACCEPTED, CommandResult.IN_DOUBT, CommandResult.HELD


@pytest.fixture(scope="module")
def world(registry: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One process for all of these tests, each with commands of its own."""
    directory = tmp_path_factory.mktemp("worker")
    with (
        on_the_embedded_broker(directory, registry) as running,
        outbound(running, simulator.url, directory / "outbound"),
    ):
        yield running


def test_a_command_becomes_a_message_and_its_answer_an_attempt(world: World, simulator: Simulator) -> None:
    wanted = command(recipient=Magic.DELIVERED.number)
    world.command(wanted)
    told = world.await_result(wanted.command_id, ACCEPTED)
    assert [told.sid] == simulator.accepted()[wanted.command_id]
    assert (told.notification_id, told.attempt) == (wanted.notification_id, 1)
    assert (told.tenant, told.sender, told.status) == ("acme", wanted.sender, "queued")
    assert (told.request_id or "").startswith("RQ")
    assert told.latency_ms is not None


def test_a_second_copy_in_any_lane_is_not_called_again(world: World, simulator: Simulator) -> None:
    wanted = command(recipient="+12025550301")
    world.command(wanted, wanted)
    world.command(wanted, lane=Priority.URGENT)
    world.await_result(wanted.command_id, ACCEPTED)
    last = command(recipient="+12025550301")
    world.command(wanted, last)
    world.command(wanted, last, lane=Priority.BULK)
    world.await_result(last.command_id, ACCEPTED)
    assert world.results(wanted.command_id) == [ACCEPTED]
    assert len(simulator.requests(wanted.command_id)) == 1


def test_a_rejection_is_told_with_its_code_and_class(world: World) -> None:
    wanted = command(recipient="+15005550004")
    world.command(wanted)
    told = world.await_result(wanted.command_id, CommandResult.REJECTED)
    assert (told.error_code, told.error_class) == (21610, ErrorClass.OPT_OUT)


def test_a_429_is_a_rejection_for_its_rate_and_slows_the_sender(world: World, simulator: Simulator) -> None:
    sender = "+15005550016"
    throttled = command(sender=sender, recipient=Magic.THROTTLED.number)
    world.command(throttled)
    told = world.await_result(throttled.command_id, CommandResult.REJECTED)
    assert (told.error_code, told.error_class) == (20429, ErrorClass.RATE)
    behind = command(sender=sender, recipient=Magic.DELIVERED.number)
    world.command(behind)
    world.await_result(behind.command_id, ACCEPTED)
    [refused], [made] = simulator.requests(throttled.command_id), simulator.requests(behind.command_id)
    assert made.at_ms - refused.at_ms >= 900


def test_what_expired_is_told_so_without_a_call(world: World, simulator: Simulator) -> None:
    wanted = command(not_after=now_ms() - 1)
    world.command(wanted)
    world.await_result(wanted.command_id, CommandResult.EXPIRED)
    assert simulator.requests(wanted.command_id) == []


def canceled(wanted: OutboundCommand) -> OutboundCommand:
    return msgspec.structs.replace(
        wanted, command_id=f"{wanted.command_id}:cancel", kind=CommandKind.CANCEL, body=None, segments=0
    )


def test_what_was_canceled_before_it_was_read_is_never_called(world: World, simulator: Simulator) -> None:
    wanted = command()
    world.command(canceled(wanted), lane=Priority.URGENT)
    world.await_result(wanted.command_id, CommandResult.CANCELED)
    behind = command()
    world.command(wanted, behind)
    world.await_result(behind.command_id, ACCEPTED)
    assert simulator.requests(wanted.command_id) == []
    assert world.results(wanted.command_id) == [CommandResult.CANCELED]


def test_what_is_canceled_while_it_waits_for_its_turn_is_never_called(
    world: World, simulator: Simulator
) -> None:
    sender = "+15005550017"
    first = command(sender=sender, recipient=Magic.THROTTLED.number)
    world.command(first)
    world.await_result(first.command_id, CommandResult.REJECTED)  # and the sender is asked to wait
    wanted = command(sender=sender)
    world.command(wanted)
    world.command(canceled(wanted), lane=Priority.URGENT)
    world.await_result(wanted.command_id, CommandResult.CANCELED)
    behind = command(sender=sender, recipient=Magic.DELIVERED.number)
    world.command(behind)
    world.await_result(behind.command_id, ACCEPTED)
    assert simulator.requests(wanted.command_id) == []


def test_a_cancellation_that_comes_too_late_changes_nothing(world: World, simulator: Simulator) -> None:
    wanted = command(recipient=Magic.DELIVERED.number)
    world.command(wanted)
    world.await_result(wanted.command_id, ACCEPTED)
    behind = command()
    world.command(canceled(wanted), behind)
    world.await_result(behind.command_id, ACCEPTED)
    assert world.results(wanted.command_id) == [ACCEPTED]


def stop(recipient: str, body: str = "stop", at: int | None = None) -> InboundMessage:
    return InboundMessage(
        provider="twilio",
        account_sid="AC1",
        message_sid=f"SM{uuid.uuid4().hex}",
        tenant="*",
        recipient=recipient,
        sender="+15005550006",
        channel=Channel.SMS,
        body=body,
        received_at=at or now_ms(),
    )


def test_who_said_stop_a_moment_before_is_not_called(world: World, simulator: Simulator) -> None:
    recipient = "+12025550302"
    world.write(Topic.INBOUND, recipient, stop(recipient))
    wanted = command(recipient=recipient)
    world.command(wanted)
    world.await_result(wanted.command_id, CommandResult.SUPPRESSED)
    assert simulator.requests(wanted.command_id) == []


def test_who_is_opted_out_in_the_ledger_is_not_called(world: World, simulator: Simulator) -> None:
    recipient = "+12025550303"
    change = ConsentChange(
        change_id=event_id("test", recipient),
        tenant="acme",
        recipient=recipient,
        channel_group=ConsentGroup.SMS,
        sender="",
        state=Consent.OPTED_OUT,
        source="import",
        at=now_ms(),
    )
    world.write(Topic.CONSENT_CHANGES, recipient, change)
    wanted = command(recipient=recipient)
    world.command(wanted)
    world.await_result(wanted.command_id, CommandResult.SUPPRESSED)
    assert simulator.requests(wanted.command_id) == []


def test_who_said_start_again_is_called(world: World) -> None:
    recipient = "+12025550304"
    world.write(Topic.INBOUND, recipient, stop(recipient, at=now_ms() - 5_000))
    world.write(Topic.INBOUND, recipient, stop(recipient, "Start"))
    wanted = command(recipient=recipient)
    world.command(wanted)
    world.await_result(wanted.command_id, ACCEPTED)


def test_a_doubt_is_settled_at_once_by_a_callback_that_carries_its_id(
    world: World, simulator: Simulator
) -> None:
    wanted = command(recipient=Magic.ERROR_AFTER.number, body="by callback", sender="+15005550015")
    world.command(wanted)
    world.await_result(wanted.command_id, IN_DOUBT)
    [sid] = simulator.accepted()[wanted.command_id]
    evidence = command(
        kind=CommandKind.SETTLE,
        command_id=f"{wanted.command_id}:settle",
        notification_id=wanted.notification_id,
        sender=wanted.sender,
        recipient=wanted.recipient,
        sid=sid,
    )
    world.command(evidence, lane=Priority.URGENT)
    told = world.await_result(wanted.command_id, IN_DOUBT, ACCEPTED)
    assert (told.sid, told.detail) == (sid, "by callback")


def test_a_doubt_without_a_callback_is_settled_by_the_providers_list(
    world: World, simulator: Simulator
) -> None:
    wanted = command(recipient=Magic.ERROR_AFTER.number, body="by look-up", sender="+15005550016")
    world.command(wanted)
    told = world.await_result(wanted.command_id, IN_DOUBT, ACCEPTED)
    assert [told.sid] == simulator.accepted()[wanted.command_id]


def test_a_doubt_that_is_nowhere_at_the_provider_is_absent(world: World, simulator: Simulator) -> None:
    wanted = command(recipient=Magic.ERROR_BEFORE.number)
    world.command(wanted)
    world.await_result(wanted.command_id, IN_DOUBT, CommandResult.ABSENT)
    assert wanted.command_id not in simulator.accepted()
    assert len(simulator.requests(wanted.command_id)) == 1


def test_a_twins_message_does_not_count_for_the_one_in_doubt(world: World, simulator: Simulator) -> None:
    first = command(recipient=Magic.ERROR_BEFORE_ONCE.number, body="twins")
    second = command(recipient=Magic.ERROR_BEFORE_ONCE.number, body="twins")
    world.command(first)
    world.await_result(first.command_id, IN_DOUBT)
    world.command(second)
    world.await_result(second.command_id, ACCEPTED)
    world.await_result(first.command_id, IN_DOUBT, CommandResult.ABSENT)
    assert first.command_id not in simulator.accepted()


def test_a_message_of_unknown_origin_keeps_a_doubt_open_until_it_is_held(
    world: World, simulator: Simulator
) -> None:
    recipient, sender = Magic.ERROR_BEFORE_ONCE.number, "+15005550018"
    for _ in range(2):  # the second time the simulator takes it
        form = {"To": recipient, "From": sender, "Body": "by somebody else"}
        httpx2.post(
            f"{simulator.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data=form, auth=(KEY, SECRET)
        )
    wanted = command(recipient=recipient, sender=sender, body="ours")
    world.command(wanted)
    told = world.await_result(wanted.command_id, IN_DOUBT, HELD)
    assert told.detail is not None
    assert told.detail.startswith("neither found nor proved absent")


def test_evidence_for_what_is_not_in_doubt_changes_nothing(world: World) -> None:
    wanted = command(recipient="+12025550305")
    world.command(wanted)
    told = world.await_result(wanted.command_id, ACCEPTED)
    evidence = command(
        kind=CommandKind.SETTLE,
        command_id=f"{wanted.command_id}:settle",
        notification_id=wanted.notification_id,
        recipient=wanted.recipient,
        sid="SM" + "0" * 32,
    )
    last = command(recipient="+12025550305")
    world.command(evidence, last)
    world.await_result(last.command_id, ACCEPTED)
    assert world.attempts()[wanted.command_id] == [told]


def fetched(world: World, sid: str | None) -> list[ProviderStatus]:
    return [status for status in world.read(Topic.STATUS, ProviderStatus) if status.message_sid == sid]


def test_a_quiet_message_is_fetched_into_the_status_topic(world: World) -> None:
    wanted = command(recipient=Magic.CALLBACKS_LOST.number)
    world.command(wanted)
    sid = world.await_result(wanted.command_id, ACCEPTED).sid
    asks = command(
        kind=CommandKind.FETCH,
        command_id=f"{wanted.command_id}:fetch:1",
        notification_id=wanted.notification_id,
        recipient=wanted.recipient,
        sid=sid,
    )
    world.command(asks)
    [status] = wait_until(lambda: fetched(world, sid), 20, "the status")
    assert (status.notification_id, status.attempt, status.source) == (wanted.notification_id, 1, "poll")


def test_a_message_that_is_unknown_stops_nothing_behind_it(world: World) -> None:
    sender = "+15005550019"
    unknown = command(kind=CommandKind.FETCH, sender=sender, sid="SM" + "0" * 32)
    behind = command(sender=sender, recipient="+12025550306")
    world.command(unknown, behind)
    world.await_result(behind.command_id, ACCEPTED)
    assert fetched(world, unknown.sid) == []


def test_what_nobody_can_read_is_buried_whole_and_the_next_goes_through(world: World) -> None:
    broken = b"\x00\x00\x00\x00\x63" + uuid.uuid4().bytes
    sender = "+15005550020"
    world.write(Topic.COMMANDS_NORMAL, sender, broken)
    behind = command(sender=sender, recipient="+12025550307")
    world.command(behind)
    world.await_result(behind.command_id, ACCEPTED)
    [letter] = [each for each in world.read(Topic.DEAD_LETTERS, DeadLetter) if each.value == broken]
    assert (letter.stage, letter.reason) == ("sinks.outbound", "unknown-schema")
    assert (letter.topic, letter.key) == (Topic.COMMANDS_NORMAL, sender.encode())


def test_at_its_end_it_tells_the_answers_it_still_got(
    registry: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("ending")
    slow = command(recipient=Magic.ACCEPTED_HANG.number, body="at the end")
    with on_the_embedded_broker(directory, registry) as world:
        with outbound(world, simulator.url, directory / "outbound"):
            world.command(slow)
            wait_until(lambda: simulator.requests(slow.command_id), 20, "the call to be under way")
        assert world.results(slow.command_id) == [IN_DOUBT]


def test_a_sender_keeps_its_rate(
    registry: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("pace")
    texts = [
        command(recipient=f"+120255504{number:02d}", segments=1 + number % 2, body=f"paced {number}")
        for number in range(24)
    ]
    with on_the_embedded_broker(directory, registry) as world:
        options = ("--rate", "10", "--burst", "4")
        with outbound(world, simulator.url, directory / "outbound", *options):
            world.command(*texts)
            began = time.monotonic()
            world.await_final(texts, 30)
            assert time.monotonic() - began < 6
    segments = {each.command_id: each.segments for each in texts}
    went = sorted(
        (request.at_ms, segments[each.command_id])
        for each in texts
        for request in simulator.requests(each.command_id)
    )
    assert len(went) == len(texts)
    for first in range(len(went)):
        total = 0
        for at_ms, count in went[first:]:
            total += count
            # A call may take a little longer to arrive than the one behind it.
            assert total <= 4 + 10 * (at_ms - went[first][0] + 200) / 1000
