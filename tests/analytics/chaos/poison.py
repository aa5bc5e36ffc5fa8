"""What nobody can read, made of what everybody could."""

from __future__ import annotations

import random

import msgspec

from schemas.codec import Codec
from schemas.records import (
    AttemptEvent,
    ConsentChange,
    DeadLetter,
    InboundMessage,
    NotificationOutcome,
    NotificationRequest,
    ProviderStatus,
    Record,
    TimerTick,
)
from schemas.topics import Topic

_PREFIX = 5
# The registry's ids are small.
_NO_SUCH_SCHEMA = (0x00FF_FF00, 0x00FF_FF01, 0x7FFF_FFFF)
# Seconds where milliseconds belong are the mistake that is made; the others are the borders.
_IMPOSSIBLE_MS = (1_790_000_000, 0, -1, 946_684_799_999, 4_102_444_800_000)
_TIMES: dict[Topic, tuple[type[Record], str]] = {
    Topic.STATUS: (ProviderStatus, "received_at"),
    Topic.ATTEMPTS: (AttemptEvent, "at"),
    Topic.OUTCOMES: (NotificationOutcome, "updated_at"),
    Topic.REQUESTS: (NotificationRequest, "requested_at"),
    Topic.INBOUND: (InboundMessage, "received_at"),
    Topic.CONSENT_CHANGES: (ConsentChange, "at"),
    Topic.DEAD_LETTERS: (DeadLetter, "at"),
}


def poisoned(chance: random.Random, topic: Topic, value: bytes, codec: Codec) -> tuple[bytes | None, str]:
    """Another value for this topic, and what is wrong with it. Raises RegistryUnavailable."""
    match chance.randrange(6):
        case 0:
            unknown = chance.choice(_NO_SUCH_SCHEMA)
            return b"\x00" + unknown.to_bytes(4, "big") + value[_PREFIX:], "unknown schema"
        case 1:
            # In its first half: fields are missing then, whatever the record ends with.
            return value[: chance.randrange(_PREFIX, len(value) // 2)], "truncated"
        case 2:
            return b"\xff"[: chance.randrange(2)] + b"\xfe" + chance.randbytes(
                chance.randrange(40)
            ), "garbage"
        case 3:
            tick = TimerTick(notification_id="", due_at=1, fired_at=1)
            return codec.encode(Topic.TIMERS, tick), "another record"
        case 4:
            record_type, field = _TIMES[topic]
            record = codec.decode(value, record_type)
            wrong = msgspec.structs.replace(record, **{field: chance.choice(_IMPOSSIBLE_MS)})
            return codec.encode(topic, wrong), "impossible time"
        case _:
            return None, "no value"
