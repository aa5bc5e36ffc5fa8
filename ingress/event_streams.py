"""What a verified batch of the platform's event stream says: each CloudEvent as a record of its own.

Guarantees: pure; one malformed event costs none of the others: it becomes a dead letter with its bytes, in
the same place of the batch; every copy of an event, and of a dead letter, can be known for one. Data is kept
verbatim, as JSON text. Bounded in size, count and nesting; nothing in a body raises.
Leaves to others: whether the request is genuine, and what the events mean.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from ingress.accepted import Accepted, Oddity, OutRecord
from ingress.parameters import PROVIDER, is_sid
from ingress.refusals import Reason, Refusal
from schemas.identity import event_id
from schemas.records import DeadLetter, PlatformEvent
from schemas.topics import Topic

LARGEST_BATCH = 1024 * 1024
MOST_EVENTS = 1000
LARGEST_EVENT = 900 * 1024
"""Bytes. Its record has less than a KB more, and librdkafka hands a broker no record above 1,000,000 bytes
(message.max.bytes): acknowledged, a larger one would stay in the journal for ever."""
DEEPEST = 32
"""Arrays and objects within each other in one event; the deepest of Twilio's own schemas have about five."""

STAGE = "ingress"
NOWHERE = -1
"""Partition of a dead letter that was never in Kafka; its offset is then made of its bytes."""

_BATCH = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder()
_SUBJECTS = ("messagesid", "callsid")


class _Malformed(Exception):
    """Not a CloudEvent; the message shows nothing of it."""


class _Envelope(msgspec.Struct, frozen=True):
    """What CloudEvents 1.0 requires of an event, and what of the rest is typed here."""

    specversion: str
    id: str
    source: str
    type: str
    dataschema: str | None = None
    time: str | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def event_batch(body: bytes, account_sid: str, received_at: int) -> Accepted | Refusal:
    """A PlatformEvent or a DeadLetter for each element of a JSON array, answered 204.

    `account_sid` is the account that signed the batch; `received_at` is in milliseconds since the epoch.
    An event is keyed by the message or call its data names, else by the account. Refused as a whole is only
    what is no JSON array, or is larger or has something larger than the bounds above.
    """
    if len(body) > LARGEST_BATCH:
        return Refusal(Reason.TOO_LARGE, f"the batch is larger than {LARGEST_BATCH} bytes")
    try:
        elements = _BATCH.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Refusal(
            Reason.NOT_A_BATCH,
            "the body is not a JSON array of CloudEvents; is this the URL of an event stream?",
        )
    if len(elements) > MOST_EVENTS:
        return Refusal(Reason.TOO_LARGE, f"the batch has more than {MOST_EVENTS} events; set a smaller one")
    if len(body) > LARGEST_EVENT and any(len(bytes(element)) > LARGEST_EVENT for element in elements):
        return Refusal(Reason.TOO_LARGE, f"an event of the batch is larger than {LARGEST_EVENT} bytes")
    records = tuple(_record(bytes(element), account_sid, received_at) for element in elements)
    malformed = any(written.topic is Topic.DEAD_LETTERS for written in records)
    return Accepted(records, oddities=(Oddity.MALFORMED_EVENT,) if malformed else ())


def _record(element: bytes, account_sid: str, received_at: int) -> OutRecord:
    try:
        record = _event(element, account_sid, received_at)
    except _Malformed as malformed:
        letter = DeadLetter(
            stage=STAGE,
            reason="not-a-cloudevent",
            detail=f"{malformed}; the other events of its batch were kept",
            topic=Topic.EVENTS,
            partition=NOWHERE,
            offset=int.from_bytes(hashlib.sha256(element).digest()[:8]) >> 1,
            value=element,
            at=received_at,
        )
        return OutRecord(Topic.DEAD_LETTERS, f"{Topic.EVENTS.value}:{NOWHERE}", letter)
    return OutRecord(Topic.EVENTS, record.subject_sid or account_sid, record)


def _event(element: bytes, account_sid: str, received_at: int) -> PlatformEvent:
    try:
        whole = _ANY.decode(element)
        envelope = _ENVELOPE.decode(element)
        raw = {name: bytes(value).decode() for name, value in _EVENT.decode(element).items()}
    except msgspec.ValidationError as unfit:  # names the place and the types, never a value
        raise _Malformed(f"not a CloudEvent: {unfit}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _Malformed("not JSON, or not UTF-8") from None
    if not (envelope.id and envelope.source and envelope.type):
        raise _Malformed("not a CloudEvent: id, source and type must not be empty")
    if _deeper_than(whole, DEEPEST):
        raise _Malformed(f"nested deeper than {DEEPEST} levels")
    data = raw.pop("data", "null")
    return PlatformEvent(
        event_id=event_id(envelope.source, envelope.id),
        provider=PROVIDER,
        account_sid=account_sid,
        id=envelope.id,
        type=envelope.type,
        source=envelope.source,
        dataschema=envelope.dataschema,
        subject_sid=_subject(whole.get("data")),
        happened_at=_milliseconds(envelope.time),
        received_at=received_at,
        data=data,
        attributes={
            name: value if isinstance(value := whole[name], str) else text
            for name, text in raw.items()
            if name not in _TYPED
        },
    )


_TYPED = frozenset({"id", "source", "type", "dataschema"})


def _subject(data: Any) -> str | None:
    """The message, else the call, that the data names, as messageSid, MessageSid or message_sid."""
    if not isinstance(data, dict):
        return None
    sids = {name.replace("_", "").lower(): value for name, value in data.items() if is_sid(value)}
    return next((sids[name] for name in _SUBJECTS if name in sids), None)


def _deeper_than(value: Any, levels: int) -> bool:
    """Level by level, not by recursion: what is checked here may be as deep as the decoder allows."""
    level = [value]
    for _ in range(levels):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _milliseconds(time: str | None) -> int | None:
    """RFC 3339 as milliseconds since the epoch; None for another text, and for a time without its zone."""
    try:
        parsed = datetime.fromisoformat(time or "")
        return None if parsed.tzinfo is None else round(parsed.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
