"""ProviderStatus from Avro, by hand and without its `parameters`: for who folds statuses by the thousand.

Guarantees: every field but `parameters` is what fastavro reads (a property test says so), in a third of the
time; `parameters` is empty, and its bytes are not looked at. Whatever is not plainly such a record, or was
written with another schema than ours, is given to the codec, which reads it or says what is wrong with it.
"""

from schemas.codec import Codec
from schemas.records import ProviderStatus
from schemas.vocabulary import Channel

_PREFIX = 5
_CHANNELS = {channel.value: channel for channel in Channel}


class StatusReader:
    """Safe to share between threads, as the codec is."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._ours: frozenset[bytes] = frozenset()

    def read(self, value: bytes | None) -> ProviderStatus:
        """Raises what `Codec.decode` raises."""
        if value is not None and value[:_PREFIX] in self._ours:
            try:
                return _read(value)
            except (IndexError, KeyError, UnicodeDecodeError):
                pass  # the codec knows what to say of it
        status = self._codec.decode(value, ProviderStatus)
        if value is not None and self._codec.is_own(value, ProviderStatus):
            self._ours |= {value[:_PREFIX]}
        return status


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A number and where the next field is."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7


def _text(data: bytes, at: int) -> tuple[str, int]:
    length = data[at]
    if length < 0x80 and not length & 1:
        start = at + 1
        end = start + (length >> 1)
    else:
        long, start = _long(data, at)
        if long < 0:
            raise IndexError
        end = start + long
    return data[start:end].decode(), end


def _maybe_text(data: bytes, at: int) -> tuple[str | None, int]:
    branch = data[at]
    if branch == 2:
        return _text(data, at + 1)
    if branch:
        raise IndexError
    return None, at + 1


def _maybe_long(data: bytes, at: int) -> tuple[int | None, int]:
    branch = data[at]
    if branch == 2:
        return _long(data, at + 1)
    if branch:
        raise IndexError
    return None, at + 1


def _read(data: bytes) -> ProviderStatus:
    event_id, at = _text(data, _PREFIX)
    provider, at = _text(data, at)
    account, at = _text(data, at)
    sid, at = _text(data, at)
    notification, at = _maybe_text(data, at)
    attempt, at = _maybe_long(data, at)
    status, at = _text(data, at)
    code, at = _maybe_long(data, at)
    channel, at = _text(data, at)
    recipient, at = _maybe_text(data, at)
    sender, at = _maybe_text(data, at)
    received_at, at = _long(data, at)
    source, at = _text(data, at)
    done, at = _maybe_text(data, at)
    segments, at = _maybe_long(data, at)
    price, at = _maybe_text(data, at)
    unit, at = _maybe_text(data, at)
    data[at]  # at least the end of the parameters: so nothing before it was cut short
    return ProviderStatus(
        event_id=event_id,
        provider=provider,
        account_sid=account,
        message_sid=sid,
        notification_id=notification,
        attempt=attempt,
        status=status,
        error_code=code,
        channel=_CHANNELS[channel],
        recipient=recipient,
        sender=sender,
        received_at=received_at,
        source=source,
        raw_dlr_done_date=done,
        segments=segments,
        price=price,
        price_unit=unit,
    )
