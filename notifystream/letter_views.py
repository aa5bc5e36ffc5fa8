"""Dead letters for people and programs: tables, and fields for JSON.

Guarantees: what could not be decoded is described and not dumped, because it may hold numbers. Leaves to the
caller: masking what `content` gives.
"""

from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from notifystream.letters import Heading, Overview
from notifystream.masking import mask_text
from notifystream.reading import plain, record_type
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import DeadLetter
from schemas.topics import Topic


def content(letter: DeadLetter, codec: Codec) -> dict[str, Any]:
    """Key and record of one letter; the record decoded where that works by now."""
    key = letter.key.decode(errors="backslashreplace") if letter.key is not None else None
    if letter.value is None:
        return {"key": key, "record": None}
    carries = record_type(Topic(letter.topic)) if letter.topic in list(Topic) else None
    why = f"{letter.topic} carries no record of ours"
    if carries is not None:
        try:
            return {"key": key, "record": plain(codec.decode(letter.value, carries))}
        except WireError as still:
            why = f"{still.reason}: {still}"
    return {"key": key, "record": f"cannot be decoded: {why}", "begins_with": letter.value[:5].hex(" ")}


def fields(heading: Heading, *, whole: bool = False) -> dict[str, Any]:
    """One letter without its bytes; `whole` also with what says nothing."""
    origin = heading.origin
    told: dict[str, Any] = {
        "id": str(heading.id),
        "at": clock(heading.at_ms),
        "stage": origin.stage,
        "reason": heading.reason,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "bytes": heading.size,
        "replayed_at": clock(heading.replayed_ms),
        "detail": mask_text(heading.detail),
    }
    return told | {"cannot_be_replayed": heading.obstacle} if heading.obstacle or whole else told


def clock(at_ms: int | None) -> str | None:
    """The reader's own time, ISO 8601."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone().isoformat(timespec="seconds")


def table(shown: tuple[Heading, ...]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "at", "stage", "reason", "read at"):
        made.add_column(name, no_wrap=name in ("id", "at"), overflow="fold")
    made.add_column("bytes", justify="right")
    made.add_column("replay")
    for each in shown:
        origin = each.origin
        state = "done" if each.replayed_ms is not None else "impossible" if each.obstacle else ""
        made.add_row(
            str(each.id),
            (clock(each.at_ms) or "")[:19],
            escape(origin.stage),
            escape(each.reason),
            escape(f"{origin.topic}[{origin.partition}]@{origin.offset}"),
            "–" if each.size is None else str(each.size),
            state,
        )
    return made


def summary(found: Overview) -> str:
    """How many, by reason, and how many of them were replayed."""
    totals: dict[str, int] = {}
    for (_, reason, _), count in found.counts().items():
        totals[reason] = totals.get(reason, 0) + count
    reasons = ", ".join(f"{count} {r}" for r, count in sorted(totals.items(), key=lambda each: -each[1]))
    done = sum(each.replayed_ms is not None for each in found.letters)
    return f"{len(found.letters)} dead letters ({reasons}), {done} replayed"


def counts(found: Overview) -> list[dict[str, Any]]:
    """How many by stage, reason and topic, the most first."""
    return [
        {"stage": stage, "reason": reason, "topic": topic, "letters": count}
        for (stage, reason, topic), count in found.counts().most_common()
    ]


def counts_table(rows: list[dict[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "reason", "topic"):
        made.add_column(name, overflow="fold")
    made.add_column("letters", justify="right")
    for row in rows:
        made.add_row(*(escape(str(value)) for value in row.values()))
    return made
