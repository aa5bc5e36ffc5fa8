"""ProviderStatus to Avro, by hand: the record of which there are the most by far.

Guarantees: exactly the bytes that fastavro writes for `provider_status.avsc` (a property test says so), in a
fraction of the time; None for a record with a character outside ASCII, which is then fastavro's.
Leaves to the codec: the prefix of the wire format, and everything that is not ASCII.

How: in ASCII a text is as long as its bytes, so that the whole record can be put together as one text, its
lengths and numbers as characters below 256, and be encoded once, as Latin-1.
(avro.apache.org/docs/1.12.0/specification, binary encoding)
"""

from schemas.records import ProviderStatus

NULL = "\x00"
SOME = "\x02"
_END = "\x00"


def varint(number: int) -> str:
    """A whole number: zigzag, then seven bits at a time, the lowest first; one character for each byte."""
    rest = (number << 1) ^ (number >> 63)
    found = ""
    while rest > 0x7F:
        found += chr(rest & 0x7F | 0x80)
        rest >>= 7
    return found + chr(rest)


class _Lengths(dict[int, str]):
    """Lengths and small numbers as they are written, the usual ones made once."""

    def __missing__(self, number: int) -> str:
        made = varint(number)
        if 0 <= number < _USUAL_LENGTHS:
            self[number] = made
        return made


class _Names(dict[str, str]):
    """Names of parameters as they are written: the same few, again and again."""

    def __missing__(self, name: str) -> str:
        if not name.isascii():
            raise _NotAscii
        made = f"{LENGTHS[len(name)]}{name}"
        if len(self) < _USUAL_NAMES and len(name) < _LONGEST_USUAL_NAME:
            self[name] = made
        return made


class _NotAscii(Exception):
    pass


class _Lately(dict[int, str]):
    """Times as they are written: at load many records come within one millisecond."""

    def __missing__(self, time: int) -> str:
        if len(self) >= _LATEST_TIMES:
            self.clear()
        made = self[time] = varint(time)
        return made


_LATEST_TIMES = 64
_USUAL_LENGTHS, _USUAL_NAMES, _LONGEST_USUAL_NAME = 4096, 1000, 64
LENGTHS, _NAMES, _LATELY = _Lengths(), _Names(), _Lately()


def encode_status(record: ProviderStatus) -> bytes | None:
    """The Avro body of the record, or None when it is not ASCII throughout."""
    length = LENGTHS
    parameters = record.parameters
    event_id, provider, account, sid = (
        record.event_id,
        record.provider,
        record.account_sid,
        record.message_sid,
    )
    notification, status, channel = record.notification_id, record.status, record.channel.value
    recipient, sender, source = record.recipient, record.sender, record.source
    done, price, unit = record.raw_dlr_done_date, record.price, record.price_unit
    attempt, code, segments = record.attempt, record.error_code, record.segments
    # What is put together here is looked at only once, for characters outside ASCII.
    fields = (
        f"{event_id}{provider}{account}{sid}{notification}{status}{recipient}{sender}{source}"
        f"{done}{price}{unit}{''.join(parameters.values())}"
    )
    if not fields.isascii():
        return None
    written = _NAMES
    try:
        pairs = [f"{written[name]}{length[len(value)]}{value}" for name, value in parameters.items()]
    except _NotAscii:
        return None
    text = (
        f"{length[len(event_id)]}{event_id}{length[len(provider)]}{provider}"
        f"{length[len(account)]}{account}{length[len(sid)]}{sid}"
        f"{NULL if notification is None else f'{SOME}{length[len(notification)]}{notification}'}"
        f"{NULL if attempt is None else SOME + length[attempt]}"
        f"{length[len(status)]}{status}"
        f"{NULL if code is None else SOME + varint(code)}"
        f"{length[len(channel)]}{channel}"
        f"{NULL if recipient is None else f'{SOME}{length[len(recipient)]}{recipient}'}"
        f"{NULL if sender is None else f'{SOME}{length[len(sender)]}{sender}'}"
        f"{_LATELY[record.received_at]}"
        f"{length[len(source)]}{source}"
        f"{NULL if done is None else f'{SOME}{length[len(done)]}{done}'}"
        f"{NULL if segments is None else SOME + length[segments]}"
        f"{NULL if price is None else f'{SOME}{length[len(price)]}{price}'}"
        f"{NULL if unit is None else f'{SOME}{length[len(unit)]}{unit}'}"
        f"{length[len(pairs)] + ''.join(pairs) if pairs else ''}{_END}"
    )
    return text.encode("latin-1")
