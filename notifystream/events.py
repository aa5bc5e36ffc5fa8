"""Notify events from what people type: command-line options, CSV rows, JSON lines.

Guarantees: a row is a whole NotifyRequest or a `BadRow` that says what is wrong with it, and never keeps the
next row from being read. Checks the form only (names, required fields, known words): whether a number exists
or a template is known is decided by the pipeline. Leaves to `publishing` what happens to the events.

CSV columns: key, to, body, tenant, category, priority, region, sender, template, locale, channel or channels
(`sms|whatsapp`) or steps (`whatsapp:90s|sms`, each with the time its delivery is waited for), smart_encoding
(true or false), media_urls (separated by `|`), send_at, expires_at (ISO 8601 or milliseconds), `var.NAME`
for template variables, `contact.NAME` and `metadata.NAME`. JSON lines: the fields of NotifyRequest; `key` and
`to` may stand for idempotency_key and recipient.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from schemas.records import NotifyRequest
from schemas.vocabulary import SENDABLE_CHANNELS, Category, Priority

_ALIASES = {"key": "idempotency_key", "to": "recipient"}
_FIELDS = frozenset(NotifyRequest.__struct_fields__)
_CSV_PLAIN = frozenset(
    {"tenant", "idempotency_key", "recipient", "region", "body", "category", "priority", "sender"}
)
_CSV_OTHER = frozenset(
    {"channel", "channels", "steps", "smart_encoding", "template", "locale", "media_urls", "send_at"}
    | {"expires_at"}
)
_STEP = re.compile(r"([a-z]+)(?::(\d{1,9})(ms|s|m|h|d))?")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TRUTH = {"true": True, "false": False}
_CSV_PREFIXES = {"var.": "variables", "contact.": "contacts", "metadata.": "metadata"}


@dataclass(frozen=True, slots=True)
class GoodRow:
    """The event in line `line` (counted from 1, a CSV header included)."""

    line: int
    request: NotifyRequest


@dataclass(frozen=True, slots=True)
class BadRow:
    """Why there is no event in line `line`."""

    line: int
    reason: str


Row: TypeAlias = GoodRow | BadRow


class BadEvent(Exception):
    """These values are not a notify event; the message says which one and why."""


def from_values(values: Mapping[str, Any], *, default_tenant: str | None) -> NotifyRequest:
    """The event of these values, named as NotifyRequest's fields or by `key` and `to`.

    Raises BadEvent for an unknown name, a missing or empty required value, a word outside its vocabulary, or
    a content that is not exactly one of body and template (media may stand alone, and steps may have it all).
    """
    named = {_ALIASES.get(name, name): value for name, value in values.items() if value is not None}
    unknown = sorted(set(named) - _FIELDS)
    if unknown:
        raise BadEvent(f"unknown field {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}")
    if default_tenant is not None:
        named.setdefault("tenant", default_tenant)
    for name, called in (("tenant", "tenant"), ("idempotency_key", "key"), ("recipient", "to")):
        if not named.get(name):
            raise BadEvent(f"{called} is missing or empty")
    try:
        request = msgspec.convert(named, NotifyRequest)
    except msgspec.ValidationError as wrong:
        raise BadEvent(str(wrong)) from wrong
    _check_words(request)
    return request


def from_csv(lines: Iterable[str], *, default_tenant: str | None) -> Iterator[Row]:
    """One row per CSV record; a header with unknown columns is one BadRow and ends the reading."""
    reader = csv.DictReader(lines, strict=True)
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
    except csv.Error as broken:
        yield BadRow(1, f"not CSV: {broken}")
        return
    unknown = [column for column in columns if not _known_column(column)]
    if unknown or not columns:
        known = ", ".join(sorted({*_ALIASES, *_CSV_PLAIN, *_CSV_OTHER, *(p + "NAME" for p in _CSV_PREFIXES)}))
        yield BadRow(1, f"unknown column {', '.join(map(repr, unknown)) or '(no header)'}; known are {known}")
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
            values = _csv_values(record)
            yield GoodRow(reader.line_num, from_values(values, default_tenant=default_tenant))
        except BadEvent as bad:
            yield BadRow(reader.line_num, str(bad))


def from_json_lines(lines: Iterable[str], *, default_tenant: str | None) -> Iterator[Row]:
    """One row per line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise BadEvent(f"expected a JSON object, got {type(values).__name__}")
            yield GoodRow(number, from_values(values, default_tenant=default_tenant))
        except json.JSONDecodeError as broken:
            yield BadRow(number, f"not JSON: {broken.msg} at column {broken.colno}")
        except BadEvent as bad:
            yield BadRow(number, str(bad))


def pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """`["name=Ann", …]` as a mapping. Raises BadEvent for a text without `=` or without a name."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadEvent(f"{what} {text!r} is not of the form NAME=VALUE")
        found[name] = value
    return found


def moment(text: str) -> int:
    """Milliseconds since the epoch, from an ISO 8601 time (with its offset, or Z) or from milliseconds.

    Raises BadEvent for anything else.
    """
    if text.isdecimal():
        return int(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadEvent(f"{text!r} is not an ISO 8601 time, e.g. 2026-11-21T09:30:00+00:00") from None
    if parsed.tzinfo is None:
        raise BadEvent(f"{text!r} does not say its zone; add Z or an offset such as +01:00")
    return int(parsed.timestamp() * 1000)


def step(text: str) -> dict[str, Any]:
    """`whatsapp`, or `whatsapp:90s` (ms, s, m, h, d), as the values of a StepRequest.

    The time is how long its delivery is waited for before the next step. Raises BadEvent for anything else.
    """
    found = _STEP.fullmatch(text.strip())
    if found is None:
        raise BadEvent(f"step {text!r} is not of the form CHANNEL or CHANNEL:TIME, e.g. whatsapp:90s")
    if found[2] is None:
        return {"channel": found[1]}
    return {"channel": found[1], "wait_ms": int(found[2]) * _MILLISECONDS[found[3]]}


def _check_words(request: NotifyRequest) -> None:
    known_channels = [channel.value for channel in SENDABLE_CHANNELS]
    for channel in (*request.channels, *(each.channel for each in request.steps)):
        if channel not in known_channels:
            raise BadEvent(f"channel {channel!r} is unknown; known are {', '.join(known_channels)}")
    if request.channels and request.steps:
        raise BadEvent("both channels and steps are given; steps name their channels")
    if request.category not in list(Category):
        raise BadEvent(f"category {request.category!r} is unknown; known are {', '.join(Category)}")
    if request.priority not in list(Priority):
        raise BadEvent(f"priority {request.priority!r} is unknown; known are {', '.join(Priority)}")
    if request.body and request.template is not None:
        raise BadEvent("both body and template are given; one of them must be")
    shared = request.body or request.template is not None or request.media_urls
    whole = request.steps and all(each.body or each.template or each.media_urls for each in request.steps)
    if not shared and not whole:
        raise BadEvent("there is nothing to send: body, template or media_urls must be given")


def _known_column(column: str) -> bool:
    plain = _ALIASES.get(column, column) in _CSV_PLAIN or column in _CSV_OTHER
    return plain or any(column.startswith(p) and column != p for p in _CSV_PREFIXES)


def _csv_values(record: Mapping[str, str]) -> dict[str, Any]:
    # An empty cell means "not given": CSV cannot say anything else.
    cells = {name: value.strip() for name, value in record.items() if value.strip()}
    values: dict[str, Any] = {n: v for n, v in cells.items() if _ALIASES.get(n, n) in _CSV_PLAIN}
    for column in ("channel", "channels"):
        if column in cells:
            values["channels"] = [channel.strip() for channel in cells[column].split("|")]
    if "steps" in cells:
        values["steps"] = [step(text) for text in cells["steps"].split("|")]
    if "smart_encoding" in cells:
        if cells["smart_encoding"].lower() not in _TRUTH:
            raise BadEvent(f"smart_encoding {cells['smart_encoding']!r} is neither true nor false")
        values["smart_encoding"] = _TRUTH[cells["smart_encoding"].lower()]
    if "media_urls" in cells:
        values["media_urls"] = [url.strip() for url in cells["media_urls"].split("|")]
    for column in ("send_at", "expires_at"):
        if column in cells:
            values[column] = moment(cells[column])
    groups: dict[str, dict[str, str]] = {}
    for name, value in cells.items():
        for prefix, group in _CSV_PREFIXES.items():
            if name.startswith(prefix):
                groups.setdefault(group, {})[name.removeprefix(prefix)] = value
    variables = groups.pop("variables", {})
    if "template" in cells:
        template = {"name": cells["template"], "variables": variables}
        values["template"] = template | ({"locale": cells["locale"]} if "locale" in cells else {})
    elif variables:
        raise BadEvent("template variables are given without a template")
    return values | groups
