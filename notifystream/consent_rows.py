"""Changes of consent as lines of a CSV file, both ways.

Guarantees: a line is a whole change or a `BadRow` that says what is wrong with it, and never keeps the next
one from being read; the same line is the same change whenever it is read, so that a file may be imported
again. What `write` writes, `rows` reads. Leaves to others: reading and writing topics.

Columns: recipient (E.164), tenant (`*` for all), group (sms, which covers mms and rcs; whatsapp; other),
state (opted_out, opted_in), at (ISO 8601 with its zone, or milliseconds); optional: sender (empty: all
senders), words, evidence, source. Of the sources only `suppression` is told from the others; change_id is
not read.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TextIO, TypeAlias

import msgspec
import phonenumbers

from notifystream.events import BadEvent, BadRow, moment
from schemas.identity import event_id
from schemas.records import ConsentChange
from schemas.vocabulary import Consent, ConsentGroup
from streams.consent import SUPPRESSION

IMPORT = "import"
SOURCES = (IMPORT, SUPPRESSION)
COLUMNS = (
    "recipient", "tenant", "group", "sender", "state", "at", "source", "words", "evidence", "change_id",
)  # fmt: skip
_REQUIRED = ("recipient", "tenant", "group", "state", "at")
_LONGEST = 255


class GoodRow(msgspec.Struct, frozen=True):
    """The change in line `line`, counted from 1 with the header."""

    line: int
    change: ConsentChange


Row: TypeAlias = GoodRow | BadRow


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What lines leave out; a `source` counts before theirs. No change is later than `now` (ms)."""

    tenant: str | None
    source: str | None
    evidence: str | None
    now: int


def rows(lines: Iterable[str], defaults: Defaults) -> Iterator[Row]:
    """One row per CSV record; a header that cannot be used is one BadRow and ends the reading."""
    reader = csv.DictReader(lines, strict=True)
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
    except csv.Error as broken:
        yield BadRow(1, f"not CSV: {broken}")
        return
    needed = [name for name in _REQUIRED if name != "tenant" or defaults.tenant is None]
    missing, unknown = [n for n in needed if n not in columns], [n for n in columns if n not in COLUMNS]
    if missing or unknown:
        wrong = (
            f"column {', '.join(missing)} is missing" if missing else f"unknown column {', '.join(unknown)}"
        )
        yield BadRow(1, f"{wrong}; the first line must name the columns, known are {', '.join(COLUMNS)}")
        return
    reader.fieldnames = columns
    while True:
        try:
            record = next(reader, None)
        except csv.Error as broken:
            yield BadRow(reader.line_num, f"not CSV: {broken}")
            continue
        if record is None:
            return
        if None in record or None in record.values():
            yield BadRow(
                reader.line_num, f"the header has {len(columns)} columns, this line has another number"
            )
            continue
        try:
            cells = {name: value.strip() for name, value in record.items()}
            yield GoodRow(reader.line_num, _change(cells, defaults))
        except BadEvent as bad:
            yield BadRow(reader.line_num, str(bad))


def write(changes: Iterable[ConsentChange], file: TextIO) -> int:
    """The header and one line per change; returns how many."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    number = 0
    for change in changes:
        at = datetime.fromtimestamp(change.at / 1000, UTC).isoformat(timespec="milliseconds")
        writer.writerow(
            (
                change.recipient, change.tenant, change.channel_group, change.sender, change.state, at,
                change.source, change.words or "", change.evidence or "", change.change_id,
            )
        )  # fmt: skip
        number += 1
    return number


def recipient(text: str) -> str:
    """The number in E.164. Raises BadEvent for what is not one; the message does not repeat it."""
    try:
        number = phonenumbers.parse(text.strip())
    except phonenumbers.NumberParseException as unparsable:
        raise BadEvent("recipient is no phone number; write it in E.164, as +14155550123") from unparsable
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or written != text.strip():
        raise BadEvent("recipient is not in E.164: a plus, the country code and the number, digits only")
    return written


def _change(cells: dict[str, str], defaults: Defaults) -> ConsentChange:
    tenant = cells.get("tenant") or defaults.tenant or ""
    if not tenant or len(tenant) > _LONGEST:
        raise BadEvent(f"tenant must have 1 to {_LONGEST} characters; * stands for all tenants")
    person = recipient(cells["recipient"])
    group = _word(ConsentGroup, "group", cells["group"])
    state = _word(Consent, "state", cells["state"])
    at = moment(cells["at"])
    if at > defaults.now:
        raise BadEvent(f"at {cells['at']!r} is in the future: consent holds from when it was given or ended")
    source = defaults.source or (SUPPRESSION if cells.get("source") == SUPPRESSION else IMPORT)
    sender = cells.get("sender", "")
    return ConsentChange(
        change_id=event_id(IMPORT, source, tenant, person, group, sender, state, str(at)),
        tenant=tenant,
        recipient=person,
        channel_group=ConsentGroup(group),
        sender=sender,
        state=Consent(state),
        source=source,
        words=cells.get("words") or None,
        evidence=cells.get("evidence") or defaults.evidence,
        at=at,
    )


def _word(known: Iterable[str], column: str, text: str) -> str:
    if text not in (words := list(known)):
        raise BadEvent(f"{column} {text[:40]!r} is unknown; known are {', '.join(words)}")
    return text
