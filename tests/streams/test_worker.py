"""The processors as a running process: a notification's way through them, and records nobody can read."""

from __future__ import annotations

import time
import uuid

import pytest

from schemas.identity import command_id
from schemas.records import AttemptEvent, DeadLetter, InboundMessage, NotifyRequest, ProviderStatus, TimerTick
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandResult, NotificationState
from streams.processors import MAX_KEPT
from tests.streams.builders import SENDER
from tests.streams.world import TENANT, World

INPUTS = [
    Topic.NOTIFY_REQUESTED,
    Topic.REQUESTS,
    Topic.VERDICTS,
    Topic.ATTEMPTS,
    Topic.STATUS,
    Topic.TIMERS,
    Topic.INBOUND,
    Topic.CHECKS,
    Topic.CONSENT_EVIDENCE,
]


def new_key() -> str:
    return uuid.uuid4().hex[:12]


def new_number() -> str:
    """A German mobile number that no other test writes to."""
    return f"+49151{uuid.uuid4().int % 10**8:08}"


def accept(world: World, notification: str) -> str:
    sid = f"SM{uuid.uuid4().hex}"
    event = AttemptEvent(
        notification_id=notification,
        attempt=1,
        command_id=command_id(notification, 1),
        tenant=TENANT,
        sender=SENDER,
        result=CommandResult.ACCEPTED,
        sid=sid,
        status="queued",
        at=time.time_ns() // 1_000_000,
    )
    world.write(Topic.ATTEMPTS, notification, event)
    return sid


def report(world: World, notification: str, sid: str, status: str) -> None:
    event = ProviderStatus(
        event_id=f"{sid}:{status}",
        provider="twilio",
        account_sid="AC" + "0" * 32,
        message_sid=sid,
        notification_id=notification,
        attempt=1,
        status=status,
        channel=Channel.SMS,
        received_at=time.time_ns() // 1_000_000,
        source="callback",
    )
    world.write(Topic.STATUS, notification, event)


def say(world: World, recipient: str, body: str) -> None:
    message = InboundMessage(
        provider="twilio",
        account_sid="AC" + "0" * 32,
        message_sid=f"SM{uuid.uuid4().hex}",
        tenant=TENANT,
        recipient=recipient,
        sender=SENDER,
        channel=Channel.SMS,
        body=body,
        received_at=time.time_ns() // 1_000_000,
    )
    world.write(Topic.INBOUND, recipient, message)


def test_a_request_becomes_a_command_and_what_is_heard_of_it_an_outcome(working: World) -> None:
    notification = working.ask(new_key(), recipient=new_number())
    command = working.await_command(notification)
    assert (command.sender, command.body) == (SENDER, "hello")
    sid = accept(working, notification)
    report(working, notification, sid, "sent")
    report(working, notification, sid, "delivered")
    outcome = working.await_outcome(notification, state=NotificationState.DELIVERED)
    assert (outcome.final, outcome.attempts[0].sid) == (True, sid)
    versions = [told.version for told in working.stories()[notification]]
    assert versions == list(range(1, len(versions) + 1))


def test_a_repeat_is_counted_and_sent_once(working: World) -> None:
    key, number = new_key(), new_number()
    notification = working.ask(key, recipient=number)
    working.ask(key, recipient=number)
    working.await_outcome(notification, duplicates=1)
    assert len(working.commands(notification)) == 1


def test_after_a_stop_nothing_more_is_commanded_until_start(working: World) -> None:
    number = new_number()
    say(working, number, "Stop")
    # The stop and the checks of one recipient meet on one partition, in order.
    first = working.ask(new_key(), recipient=number)
    working.await_outcome(first, state=NotificationState.SUPPRESSED, reason="opted-out")
    say(working, number, "start")
    second = working.ask(new_key(), recipient=number)
    working.await_command(second)
    assert working.commands(first) == []


def test_an_invalid_request_is_answered_with_the_reason(working: World) -> None:
    notification = working.ask(new_key(), recipient="+49123")
    outcome = working.await_outcome(notification, state=NotificationState.INVALID)
    assert (outcome.reason, outcome.final) == ("invalid-number", True)


def test_a_request_for_later_is_sent_when_its_time_has_come(working: World) -> None:
    send_at = time.time_ns() // 1_000_000 + 1_500
    notification = working.ask(new_key(), recipient=new_number(), send_at=send_at)
    working.await_outcome(notification, state=NotificationState.DEFERRED)
    assert working.await_command(notification).created_at >= send_at


@pytest.mark.parametrize("topic", INPUTS)
def test_garbage_ends_in_dead_letters_with_its_place_and_bytes(working: World, topic: Topic) -> None:
    place = working.write(topic, "some-key", b"\xff garbage")
    letter = working.await_dead_letter(place)
    assert (letter.reason, letter.key, letter.value) == ("not-avro", b"some-key", b"\xff garbage")
    assert letter.stage.startswith("streams.")


@pytest.mark.parametrize("topic", INPUTS)
def test_another_record_than_the_topics_ends_in_dead_letters(working: World, topic: Topic) -> None:
    other = DeadLetter(stage="s", reason="r", detail="d", topic="t", partition=0, offset=0, at=0)
    value = working.codec.encode(Topic.DEAD_LETTERS, other)
    assert working.await_dead_letter(working.write(topic, "k", value)).reason == "wrong-schema"


def test_a_schema_nobody_knows_ends_in_dead_letters(working: World) -> None:
    place = working.write(Topic.NOTIFY_REQUESTED, "k", b"\x00\x00\x0f\x42\x40 from elsewhere")
    assert working.await_dead_letter(place).reason == "unknown-schema"


def test_half_a_record_ends_in_dead_letters(working: World) -> None:
    tick = working.codec.encode(Topic.TIMERS, TimerTick(notification_id="n", due_at=1, fired_at=1))
    place = working.write(Topic.TIMERS, "n", tick[:-1])
    assert working.await_dead_letter(place).reason == "corrupt"


def test_a_record_without_value_ends_in_dead_letters(working: World) -> None:
    letter = working.await_dead_letter(working.write(Topic.NOTIFY_REQUESTED, "k", None))
    assert (letter.reason, letter.value) == ("not-avro", None)


def test_a_request_that_names_no_notification_ends_in_dead_letters(working: World) -> None:
    nameless = NotifyRequest(tenant=TENANT, idempotency_key=" ", recipient="+4915123456789", body="x")
    place = working.write(Topic.NOTIFY_REQUESTED, "k", nameless)
    assert working.await_dead_letter(place).reason == "no-identity"


def test_a_record_as_large_as_the_broker_takes_does_not_stop_the_partition(working: World) -> None:
    value = b"\xff" * 990_000
    place = working.write(Topic.NOTIFY_REQUESTED, "k", value)
    letter = working.await_dead_letter(place)
    assert letter.value == value[:MAX_KEPT]
    assert "of 990000 bytes" in letter.detail


def test_a_request_as_large_as_the_broker_takes_is_refused_and_stops_nothing(working: World) -> None:
    notification = working.ask(new_key(), recipient=new_number(), metadata={"a": "x" * 900_000})
    outcome = working.await_outcome(notification, state=NotificationState.INVALID)
    assert (outcome.reason, outcome.metadata) == ("too-large", {})


def test_after_all_that_the_next_request_goes_through_on_every_partition(working: World) -> None:
    notifications = [working.ask(new_key(), recipient=new_number()) for _ in range(12)]
    for notification in notifications:
        working.await_command(notification)
