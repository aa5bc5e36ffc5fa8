"""What is commanded, from a seed: sends of every kind, copies, cancellations, and opt-outs that forbid them.

Guarantees: a story depends on the seed and its number alone. Times in it are distances from the moment it is
written. Leaves to `outside`: writing it, in the order that it asks for.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from schemas.records import ConsentChange, InboundMessage, OutboundCommand
from schemas.vocabulary import Category, Channel, CommandKind, CommandResult, Consent, Priority
from tests.outbound.chaos.terms import SENDERS, SLOW_SENDERS, TENANTS
from tests.outbound.simulator import ACCOUNT

R = CommandResult
SENT = frozenset({R.ACCEPTED, R.REJECTED, R.ABSENT, R.HELD})
_AREAS = (202, 212, 303, 312, 404, 415, 512, 617, 702, 808)
# Nobody else lives there: an opt-out forbids what it is written for, and nothing else.
_AREAS_OF_THE_UNWILLING = (907,)
_LASTS_MS = 3_600_000
# The slow senders' commands come early, so that most of the time some of them are waiting.
_EARLY, _EARLY_SLOW = 4_000, 0.07


class Kind(StrEnum):
    ORDINARY = "ordinary"
    # One of several from this sender to this person, some of them with the same text.
    ALIKE = "alike"
    # May expire while it waits.
    SHORT = "short"
    # Was worthless when it was written.
    STALE = "stale"
    CANCELED = "canceled"
    # The person opted out before it was written.
    FORBIDDEN = "forbidden"


_WEIGHTS = {
    Kind.ORDINARY: 82,
    Kind.ALIKE: 10,
    Kind.SHORT: 2,
    Kind.STALE: 1,
    Kind.CANCELED: 2,
    Kind.FORBIDDEN: 3,
}
ENDS = {
    Kind.ORDINARY: SENT,
    Kind.ALIKE: SENT,
    Kind.SHORT: SENT | {R.EXPIRED},
    Kind.STALE: frozenset({R.EXPIRED}),
    Kind.CANCELED: SENT | {R.CANCELED},
    Kind.FORBIDDEN: frozenset({R.SUPPRESSED}),
}
"""How a command of each kind may end. What of SENT it is, the provider's ledger says."""


class Copy(NamedTuple):
    """The same command once more, so long after the first."""

    after_ms: int
    lane: Priority


@dataclass(frozen=True, slots=True)
class Story:
    """One command, and what else is written because of it. `cancel_after_ms` may be negative: before it."""

    number: int
    kind: Kind
    command: OutboundCommand
    lane: Priority
    copies: tuple[Copy, ...] = ()
    cancel_after_ms: int | None = None
    opt_out: ConsentChange | InboundMessage | None = None
    evidence_after_ms: int = 0


def story(seed: int, number: int, now: int) -> Story:
    chance = random.Random(f"{seed}:{number}")
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    command = _command(chance, kind, now)
    if kind is Kind.ORDINARY and number < _EARLY and chance.random() < _EARLY_SLOW:
        sender, recipient = chance.choice(tuple(SLOW_SENDERS.items()))
        command = msgspec.structs.replace(command, sender=sender, recipient=recipient, channel=Channel.SMS)
    if kind is Kind.STALE:
        command = msgspec.structs.replace(command, not_after=now - 1)
    elif kind is Kind.SHORT:
        command = msgspec.structs.replace(command, not_after=now + chance.randrange(300, 6_000))
    copies = chance.random() < 0.1
    return Story(
        number=number,
        kind=kind,
        command=command,
        lane=chance.choice(list(Priority)),
        copies=tuple(
            Copy(chance.randrange(0, 6_000), chance.choice(list(Priority)))
            for _ in range(chance.randrange(1, 3) if copies else 0)
        ),
        cancel_after_ms=chance.randrange(-200, 600) if kind is Kind.CANCELED else None,
        opt_out=_opt_out(chance, command, now) if kind is Kind.FORBIDDEN else None,
        # As late as the processors may be: the look-up often comes first.
        evidence_after_ms=chance.randrange(0, 12_000),
    )


def settlement(command: OutboundCommand, sid: str, now: int) -> OutboundCommand:
    """The evidence of a callback, as streams.delivery writes it."""
    return _about(command, CommandKind.SETTLE, now, sid)


def cancellation(command: OutboundCommand, now: int) -> OutboundCommand:
    return _about(command, CommandKind.CANCEL, now, None)


def _about(command: OutboundCommand, kind: CommandKind, now: int, sid: str | None) -> OutboundCommand:
    return msgspec.structs.replace(
        command,
        command_id=f"{command.command_id}:{kind.value}",
        kind=kind,
        created_at=now,
        not_after=now + _LASTS_MS,
        body=None,
        sid=sid,
    )


def _command(chance: random.Random, kind: Kind, now: int) -> OutboundCommand:
    notification = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    attempt = chance.choice((1, 1, 1, 2, 3))
    areas = _AREAS_OF_THE_UNWILLING if kind is Kind.FORBIDDEN else _AREAS
    sender, recipient = chance.choice(SENDERS), _number(chance, areas)
    body = f"Your parcel {notification[:13]} comes tomorrow."
    if kind is Kind.ALIKE:
        pair = random.Random(f"pair {chance.randrange(500)}")
        sender, recipient = pair.choice(SENDERS), _number(pair, _AREAS)
        if chance.random() < 0.5:
            body = f"Your code is {chance.randrange(2)}."
    service = sender.startswith("MG")
    return OutboundCommand(
        command_id=f"{notification}:{attempt}",
        kind=CommandKind.SEND,
        notification_id=notification,
        attempt=attempt,
        tenant=chance.choice(TENANTS),
        provider="twilio",
        channel=Channel.WHATSAPP if not service and chance.random() < 0.05 else Channel.SMS,
        sender=sender,
        recipient=recipient,
        body=body,
        category=Category.TRANSACTIONAL,
        segments=chance.choice((1, 1, 1, 2, 3)),
        created_at=now,
        not_after=now + _LASTS_MS,
    )


def _number(chance: random.Random, areas: tuple[int, ...]) -> str:
    return f"+1{chance.choice(areas)}555{chance.randrange(200, 10_000):04d}"


def _opt_out(chance: random.Random, command: OutboundCommand, now: int) -> ConsentChange | InboundMessage:
    """In the ledger already, or written to one of our numbers a moment ago."""
    if chance.random() < 0.5:
        return InboundMessage(
            provider="twilio",
            account_sid=ACCOUNT,
            message_sid=f"SM{chance.getrandbits(128):032x}",
            tenant=command.tenant,
            recipient=command.recipient,
            sender=command.sender,
            channel=command.channel,
            body="STOP",
            received_at=now,
        )
    return ConsentChange(
        change_id=f"{chance.getrandbits(128):032x}",
        tenant=command.tenant,
        recipient=command.recipient,
        channel_group=command.channel.consent_group,
        sender=command.sender,
        state=Consent.OPTED_OUT,
        source="chaos",
        at=now,
    )
