"""NotificationOutcome to Avro, by hand: what the processors write the most of.

Guarantees and ways as in `hot_status`: exactly the bytes that fastavro writes for `notification_outcome.avsc`
(a property test says so), or None for a record with a character outside ASCII, which is then fastavro's.
"""

from schemas.hot_status import LENGTHS, NULL, SOME, varint
from schemas.records import AttemptSummary, NotificationOutcome

_TRUE, _FALSE = "\x01", "\x00"
_END = "\x00"
_SIX_BYTES, _SEVEN_BYTES = 1 << 35, 1 << 42


def encode_outcome(record: NotificationOutcome) -> bytes | None:
    """The Avro body of the record, or None when it is not ASCII throughout."""
    length, text, maybe = LENGTHS, _text, _maybe_text
    metadata = record.metadata
    attempts = record.attempts
    free = (
        f"{record.notification_id}{record.tenant}{record.idempotency_key}{record.content_hash}{record.reason}"
        f"{record.detail}{record.recipient}{record.country}{record.carrier}{record.carrier_source}"
        f"{record.category}{record.priority}{record.conflicts_with}"
        f"{''.join([f'{name}{value}' for name, value in metadata.items()])}"
        f"{''.join([f'{attempt.sender}{attempt.sid}{attempt.status}' for attempt in attempts])}"
    )
    if not free.isascii():
        return None
    pairs = [f"{text(name)}{text(value)}" for name, value in metadata.items()]
    summaries = [_summary(attempt) for attempt in attempts]
    whole = (
        f"{text(record.notification_id)}{length[record.version]}{text(record.tenant)}"
        f"{text(record.idempotency_key)}{text(record.content_hash)}{text(record.state)}"
        f"{_TRUE if record.final else _FALSE}{maybe(record.reason)}{maybe(record.detail)}"
        f"{text(record.recipient)}{text(record.country)}{text(record.carrier)}{text(record.carrier_source)}"
        f"{text(record.category)}{text(record.priority)}{_time(record.requested_at)}"
        f"{_time(record.updated_at)}{length[record.duplicates]}{maybe(record.conflicts_with)}"
        f"{length[len(summaries)] + ''.join(summaries) if summaries else ''}{_END}"
        f"{length[len(pairs)] + ''.join(pairs) if pairs else ''}{_END}"
    )
    return whole.encode("latin-1")


def _summary(attempt: AttemptSummary) -> str:
    code, error_class = attempt.error_code, attempt.error_class
    return (
        f"{LENGTHS[attempt.attempt]}{_text(attempt.channel)}{_text(attempt.sender)}"
        f"{_maybe_text(attempt.sid)}{_text(attempt.status)}"
        f"{NULL if code is None else SOME + varint(code)}"
        f"{NULL if error_class is None else SOME + _text(error_class)}"
        f"{LENGTHS[attempt.segments]}{_time(attempt.commanded_at)}{_maybe_time(attempt.accepted_at)}"
        f"{_maybe_time(attempt.sent_at)}{_maybe_time(attempt.delivered_at)}{_maybe_time(attempt.ended_at)}"
    )


def _text(text: str) -> str:
    return f"{LENGTHS[len(text)]}{text}"


def _maybe_text(text: str | None) -> str:
    return NULL if text is None else f"{SOME}{LENGTHS[len(text)]}{text}"


def _time(time: int) -> str:
    """As `varint`; those of this and the next decades without its loop: they take six bytes."""
    rest = time << 1
    if not _SIX_BYTES <= rest < _SEVEN_BYTES:
        return varint(time)
    return (
        f"{chr(rest & 0x7F | 0x80)}{chr(rest >> 7 & 0x7F | 0x80)}{chr(rest >> 14 & 0x7F | 0x80)}"
        f"{chr(rest >> 21 & 0x7F | 0x80)}{chr(rest >> 28 & 0x7F | 0x80)}{chr(rest >> 35)}"
    )


def _maybe_time(time: int | None) -> str:
    return NULL if time is None else SOME + _time(time)
