"""What happens outside, from a seed: what producers ask, what persons write, what becomes of each send.

Guarantees: a notification's story depends on the seed and its number alone, what becomes of a send on the
seed and the command's id: never on when anything is processed. Nobody lies: a message that the provider
never took does not report. Leaves to `outside`: sending it, and the times in the records, which
are those of the sending.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from schemas.identity import command_id, conflict_id, notification_id
from schemas.records import (
    AttemptEvent,
    InboundMessage,
    NotifyRequest,
    OutboundCommand,
    ProviderStatus,
    Record,
    StepRequest,
    Template,
)
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, CommandKind, CommandResult, NotificationState
from streams.intake import content_hash
from tests.streams.chaos.terms import CAPPED, HASTY, PATIENT, SENDERS

S = NotificationState
REACHED = frozenset({S.DELIVERED, S.READ})
ANY_END = frozenset(state for state in S if state.final) - {S.INVALID, S.CONFLICT}
ACCOUNT = "AC" + "0" * 32


class Fate(StrEnum):
    """What becomes of the sends of a notification."""

    GOOD = "good"
    LATE = "late"
    TRANSIENT = "transient"
    HOPELESS = "hopeless"
    TERMINAL = "terminal"
    SILENT = "silent"
    FOUND = "found"
    DOUBTED = "doubted"
    ABSENT = "absent"
    HELD = "held"
    RELEASED = "released"
    OUT_OF_TIME = "out of time"
    OPTED_OUT = "opted out"


_FATES = {
    Fate.GOOD: 50,
    Fate.LATE: 4,
    Fate.TRANSIENT: 12,
    Fate.HOPELESS: 3,
    Fate.TERMINAL: 8,
    Fate.SILENT: 4,
    Fate.FOUND: 4,
    Fate.DOUBTED: 5,
    Fate.ABSENT: 4,
    Fate.HELD: 2,
    Fate.RELEASED: 2,
    Fate.OUT_OF_TIME: 1,
    Fate.OPTED_OUT: 1,
}
_ENDS = {
    Fate.HOPELESS: frozenset({S.UNDELIVERED, S.FAILED}),
    Fate.TERMINAL: frozenset({S.UNDELIVERED, S.FAILED, S.SUPPRESSED}),
    Fate.SILENT: frozenset({S.UNCONFIRMED}),
    Fate.FOUND: REACHED | {S.UNCONFIRMED},
    Fate.HELD: frozenset({S.UNCONFIRMED}),
    Fate.OUT_OF_TIME: frozenset({S.EXPIRED}),
    Fate.OPTED_OUT: frozenset({S.SUPPRESSED}),
}
_PASSING = (30003, 30008, 30017, 30023, 30500)
_LASTING = (30005, 30006, 30007, 21610, 30004, 30034, 21408, 21211)
_REFUSED_AT_ONCE = frozenset({21211, 21610, 21408, 20429})
_SHARED_BY = 40


class Planned(NamedTuple):
    """A record to be written so long after the first one; bytes are unreadable, None is a tombstone."""

    after_ms: int
    topic: Topic
    key: str
    value: Record | bytes | None


@dataclass(frozen=True, slots=True)
class Story:
    """What is asked in one notification's name, and how it may end."""

    notification: str
    fate: Fate
    records: tuple[Planned, ...]
    ends: frozenset[NotificationState]
    duplicates: int
    conflict: str | None


def story(seed: int, number: int, now: int) -> Story:
    """`now` (ms): when it is asked; deadlines in the request are counted from it."""
    chance = random.Random(f"{seed}:{number}")
    shared = chance.random() < 0.2
    person = 90_000_000 + number // _SHARED_BY if shared else 10_000_000 + number
    recipient = f"+49151{person:08}"
    fate = chance.choices(list(_FATES), list(_FATES.values()))[0]
    ends = _ENDS.get(fate, REACHED)
    values: dict[str, Any] = {
        "tenant": HASTY if chance.random() < 0.25 else PATIENT,
        "idempotency_key": f"order-{seed}-{number}",
        "recipient": recipient,
        "sender": chance.choice(SENDERS),
        "category": chance.choices(list(Category), [20, 65, 15])[0],
        "priority": chance.choice(["urgent", "normal", "normal", "bulk"]),
        "metadata": {"order": str(number)},
    } | _content(chance)
    if {"steps", "channels"} & set(values) or values["category"] == Category.OTP:
        ends = ANY_END if fate in _ENDS else ends  # another step may fare better
    if chance.random() < 0.1:
        values["send_at"] = now + chance.randrange(500, 4_000)
    if chance.random() < 0.05:
        values["expires_at"] = values.get("send_at", now) + chance.randrange(300, 6_000)
        ends = ANY_END
    if shared or values["category"] == CAPPED:
        ends = ANY_END
    if chance.random() < 0.03:
        values |= chance.choice([{"recipient": "+49123"}, {"channels": ("pigeon",), "steps": ()}])
        ends = frozenset({S.INVALID})
    request = NotifyRequest(**values)
    notification = notification_id(request.tenant, request.idempotency_key)
    key = request.idempotency_key
    records = [Planned(0, Topic.NOTIFY_REQUESTED, key, request)]
    duplicates, conflict = 0, None
    if chance.random() < 0.08:
        duplicates = chance.choice([1, 1, 2, 3])
        for _ in range(duplicates):
            records.append(Planned(chance.randrange(1, 3_000), Topic.NOTIFY_REQUESTED, key, request))
    if chance.random() < 0.04:
        other = msgspec.structs.replace(request, priority="normal", body="something else", template=None)
        conflict = conflict_id(notification, content_hash(other))
        records.append(Planned(chance.randrange(1, 3_000), Topic.NOTIFY_REQUESTED, key, other))
    if chance.random() < 0.06:
        records += _inbound(chance, request, number)
        ends = ends if S.INVALID in ends else ANY_END
    if chance.random() < 0.03 and fate is Fate.GOOD:
        ahead = _status(notification, 1, chance.choice(["queued", "sent"]), 0)
        records.append(Planned(chance.choice([0, 0, 20]), Topic.STATUS, notification, ahead))
        records.reverse()
    if chance.random() < 0.03:
        records.append(_stray(chance, notification, number))
    return Story(notification, fate, tuple(records), ends, duplicates, conflict)


def answers(seed: int, fate: Fate, command: OutboundCommand) -> list[Planned]:
    """What the sink and the provider say of a command, in the order of its delays."""
    chance = random.Random(f"{seed}:{command.command_id}")
    match command.kind:
        case CommandKind.SEND:
            told = _of_send(chance, fate, command)
        case CommandKind.SETTLE:
            told = [(20, _result(command, CommandResult.ACCEPTED))]
        case CommandKind.FETCH:
            said = "delivered" if fate in (Fate.FOUND, Fate.GOOD) else "sent"
            told = [
                (30, _status(command.notification_id, command.attempt, said, command.attempt, source="poll"))
            ]
        case CommandKind.CANCEL | CommandKind.HEED:
            told = []
    return [
        Planned(
            after,
            Topic.ATTEMPTS if isinstance(record, AttemptEvent) else Topic.STATUS,
            command.notification_id,
            record,
        )
        for after, record in told
    ]


def refusal(command: OutboundCommand, result: CommandResult) -> Planned:
    """What the sink says of a send that it never started."""
    return Planned(0, Topic.ATTEMPTS, command.notification_id, _result(command, result))


Told = list[tuple[int, AttemptEvent | ProviderStatus]]


def _of_send(chance: random.Random, fate: Fate, command: OutboundCommand) -> Told:
    first = command.attempt == 1
    result = CommandResult
    accepted = (chance.randrange(0, 60), _result(command, result.ACCEPTED))
    doubted = (chance.randrange(0, 60), _result(command, result.IN_DOUBT))
    match fate:
        case Fate.TRANSIENT if first:
            return _bad(chance, command, chance.choice((*_PASSING, 20429)))
        case Fate.HOPELESS:
            return _bad(chance, command, 30017)
        case Fate.TERMINAL if first:
            return _bad(chance, command, chance.choice(_LASTING))
        case Fate.SILENT:
            return [accepted, *_reports(chance, command, ("queued", "sent"))]
        case Fate.FOUND:
            return [accepted, *_reports(chance, command, ("queued",))]
        case Fate.DOUBTED if first:
            return [doubted, *_reports(chance, command, _good(command))]
        case Fate.ABSENT if first:
            return [doubted, (chance.randrange(100, 1_000), _result(command, result.ABSENT))]
        case Fate.HELD:
            return [doubted, (chance.randrange(100, 1_000), _result(command, result.HELD))]
        case Fate.RELEASED if first:
            held = (chance.randrange(100, 500), _result(command, result.HELD))
            found = (chance.randrange(600, 3_000), _result(command, result.ACCEPTED))
            return [doubted, held, found, *_reports(chance, command, _good(command), 700)]
        case Fate.OUT_OF_TIME:
            return [(5, _result(command, result.EXPIRED))]
        case Fate.OPTED_OUT:
            return [(5, _result(command, result.SUPPRESSED))]
        case Fate.LATE:
            late = chance.randrange(2_000, 12_000)
            return [
                accepted,
                *_reports(chance, command, ("queued", "sent")),
                (late, _said(command, "delivered")),
            ]
    return [accepted, *_reports(chance, command, _good(command))]


def _good(command: OutboundCommand) -> tuple[str, ...]:
    read = ("read",) if command.channel in (Channel.WHATSAPP, Channel.RCS) else ()
    return ("queued", "sending", "sent", "delivered", *read)


def _bad(chance: random.Random, command: OutboundCommand, code: int) -> Told:
    if code in _REFUSED_AT_ONCE:
        refused = msgspec.structs.replace(_result(command, CommandResult.REJECTED), error_code=code)
        return [(chance.randrange(0, 60), refused)]
    end = _said(command, chance.choice(["undelivered", "failed"]), code)
    return [
        (chance.randrange(0, 60), _result(command, CommandResult.ACCEPTED)),
        *_reports(chance, command, ("queued", "sent")),
        *[(chance.randrange(0, 1_200), end)] * chance.choice([1, 1, 2]),
    ]


def _reports(
    chance: random.Random, command: OutboundCommand, statuses: tuple[str, ...], after: int = 0
) -> Told:
    """Each at any time, so in any order; the last one of all always, the others are lost now and then."""
    told: Told = []
    for status in statuses:
        if status != statuses[-1] and chance.random() < 0.15:
            continue
        stale = 30008 if chance.random() < 0.03 else None
        for _ in range(chance.choice([1, 1, 1, 1, 2, 3])):
            told.append((after + chance.randrange(0, 1_200), _said(command, status, stale)))
    return told


def _result(command: OutboundCommand, result: CommandResult) -> AttemptEvent:
    accepted = result is CommandResult.ACCEPTED
    return AttemptEvent(
        notification_id=command.notification_id,
        attempt=command.attempt,
        command_id=command_id(command.notification_id, command.attempt),
        tenant=command.tenant,
        sender=command.sender,
        result=result,
        sid=sid_of(command.notification_id, command.attempt) if accepted else None,
        status="queued" if accepted else None,
        at=0,
    )


def _said(command: OutboundCommand, status: str, code: int | None = None) -> ProviderStatus:
    return _status(command.notification_id, command.attempt, status, command.attempt, code=code)


def _status(
    notification: str,
    attempt: int,
    status: str,
    copy: int,
    *,
    code: int | None = None,
    source: str = "callback",
) -> ProviderStatus:
    sid = sid_of(notification, attempt)
    return ProviderStatus(
        event_id=f"{sid}:{status}:{copy}",
        provider="twilio",
        account_sid=ACCOUNT,
        message_sid=sid,
        notification_id=notification,
        attempt=attempt,
        status=status,
        error_code=code,
        channel=Channel.SMS,
        received_at=0,
        source=source,
    )


def sid_of(notification: str, attempt: int) -> str:
    return "SM" + hashlib.sha256(f"{notification}:{attempt}".encode()).hexdigest()[:32]


def _content(chance: random.Random) -> dict[str, Any]:
    template = Template(name="HX" + "1" * 32, variables={"1": "tonight"})
    body = chance.choice(["hello", "Grüße — “bis gleich”", "x" * 200])
    sms = StepRequest(channel="sms")
    shapes: list[dict[str, Any]] = [
        {"body": body},
        {"body": body, "channels": ("whatsapp", "sms")},
        {"body": body, "steps": (StepRequest(channel="whatsapp", template=template, wait_ms=1_000), sms)},
        {"body": body, "steps": (StepRequest(channel="rcs", wait_ms=400), sms)},
        {"body": body, "media_urls": ("https://e.example/a.jpg",), "channels": ("mms", "sms")},
    ]
    return chance.choices(shapes, [60, 12, 12, 10, 6])[0]


def _inbound(chance: random.Random, request: NotifyRequest, number: int) -> list[Planned]:
    written = []
    for turn, body in enumerate(chance.choice([["STOP"], ["STOP", "START"], ["hello"], ["START"]])):
        message = InboundMessage(
            provider="twilio",
            account_sid=ACCOUNT,
            message_sid=f"SM{number:031x}{turn}",
            tenant=request.tenant,
            recipient=request.recipient,
            sender=request.sender or SENDERS[0],
            channel=chance.choice([Channel.SMS, Channel.WHATSAPP]),
            body=body,
            received_at=0,
        )
        written.append(Planned(chance.randrange(0, 2_000), Topic.INBOUND, request.recipient, message))
    return written


def _stray(chance: random.Random, notification: str, number: int) -> Planned:
    """Something nobody can use: unreadable, of nobody, or of a message that was not ours."""
    after = chance.randrange(0, 1_000)
    match chance.randrange(4):
        case 0:
            foreign = msgspec.structs.replace(_status(notification, 1, "sent", 0), notification_id=None)
            return Planned(after, Topic.STATUS, foreign.message_sid, foreign)
        case 1:
            nobody = NotifyRequest(tenant="", idempotency_key=f"stray-{number}", recipient="+4915123456789")
            return Planned(after, Topic.NOTIFY_REQUESTED, nobody.idempotency_key, nobody)
        case 2:
            value = chance.choice([None, b"", b"\xff" + chance.randbytes(20), b"\0\0\0\0\1" + b"\xff" * 9])
        case _:
            value = b"{}"
    topics = (
        Topic.NOTIFY_REQUESTED,
        Topic.STATUS,
        Topic.ATTEMPTS,
        Topic.INBOUND,
        Topic.CHECKS,
        Topic.VERDICTS,
    )
    return Planned(after, chance.choice(topics), f"stray-{number}", value)
