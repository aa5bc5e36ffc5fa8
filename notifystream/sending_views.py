"""How sending stands, for people and programs: tables, and fields for JSON.

Guarantees: no recipient's number is whole in any of it, and no number in what people wrote. Senders are ours
and shown as they are: whoever pauses one has to write it.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from notifystream.masking import mask_text
from notifystream.sending_state import HeldCommand
from schemas.records import OutboundControl, SenderState
from schemas.vocabulary import ControlScope

SILENT_MS = 20 * 60_000
"""A state older than this, twice what an owner lets pass, tells of a process that is gone."""


def clock(at_ms: int | None) -> str | None:
    """The reader's own time, ISO 8601."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone().isoformat(timespec="seconds")


def span(ms: int | None) -> str:
    """A length of time as people say it, in its largest whole unit: `45s`, `12m`, `3h`, `2d`."""
    if ms is None:
        return "–"
    seconds = max(0, ms // 1000)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def holding(state: SenderState, now: int) -> list[str]:
    """Why a sender sends nothing, in words; a pause that is over by now is left out."""
    told: list[str] = []
    for each in state.pauses:
        if each.until is not None and each.until <= now:
            continue
        which = f" {each.target}" if each.scope is not ControlScope.SENDER and each.target else ""
        until = f", for {span(each.until - now)}" if each.until is not None else ""
        told.append(f"{each.scope}{which} paused: {mask_text(each.reason)}{until}")
    if state.nothing_before is not None and state.nothing_before > now:
        told.append(f"the provider asks to wait, for {span(state.nothing_before - now)}")
    return told


def sender_fields(state: SenderState, now: int) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(state)
    for lane in fields["lanes"]:
        at = lane.pop("oldest_at")
        lane["oldest_age_s"] = None if at is None else max(0, now - at) / 1000
    for pause in fields["pauses"]:
        pause["reason"] = mask_text(pause["reason"])
        pause["until"] = clock(pause["until"])
    fields["nothing_before"] = clock(state.nothing_before)
    fields["at"] = clock(state.at)
    return fields | {"silent": now - state.at > SILENT_MS}


def pause_fields(pause: OutboundControl) -> dict[str, Any]:
    return {
        "scope": pause.scope.value,
        "target": pause.target,
        "since": clock(pause.at),
        "until": clock(pause.until),
        "by": mask_text(pause.by),
        "reason": mask_text(pause.reason),
    }


def held_fields(held: HeldCommand) -> dict[str, Any]:
    entry = held.entry
    return {
        "command_id": entry.command_id,
        "notification_id": entry.command_id.rpartition(":")[0],
        "tenant": entry.tenant,
        "sender": entry.sender,
        "recipient": mask_text(entry.recipient),
        "channel": entry.channel.value,
        "provider": entry.provider,
        "started_at": clock(entry.started_at),
        "held_since": clock(entry.at),
        "why": mask_text(entry.detail or "neither found nor proved absent"),
        "decided": None
        if held.decided is None
        else f"{held.decided.action} by {mask_text(held.decided.by)} at {clock(held.decided.at)}",
    }


def senders_table(states: tuple[SenderState, ...], now: int) -> Table:
    """Who owns which sender is in the JSON only: a table of 80 columns has no room for it."""
    made = _table("sender", "state", *_COUNTS, "seen", right=_COUNTS)
    for each in states:
        waiting = [lane for lane in each.lanes if lane.waiting]
        queued = "\n".join(
            f"{lane.waiting} {lane.lane}, {span(now - lane.oldest_at if lane.oldest_at else None)}"
            for lane in waiting
        )
        cap = f"/{each.daily_segments}" if each.daily_segments is not None else ""
        rate = f"{each.segments_per_s:g}"
        made.add_row(
            escape(each.sender),
            "[red]waits[/]" if holding(each, now) else "sending" if waiting or each.in_flight else "idle",
            rate
            if each.segments_per_s == each.set_segments_per_s
            else f"[yellow]{rate}[/]/{each.set_segments_per_s:g}",
            queued or "–",
            str(each.in_flight),
            str(each.in_doubt),
            f"[red]{each.held}[/]" if each.held else "0",
            f"{each.spent_today}{cap}",
            f"[red]{span(now - each.at)}[/]" if now - each.at > SILENT_MS else span(now - each.at),
        )
    return made


def pauses_table(pauses: tuple[OutboundControl, ...], now: int) -> Table:
    made = _table("paused", "since", "until", "by", "reason")
    for each in pauses:
        made.add_row(
            escape(f"{each.scope} {each.target}".strip()),
            _minute(each.at),
            _minute(each.until) or "resumed",
            escape(mask_text(each.by)),
            escape(mask_text(each.reason)),
        )
    return made


def held_lines(held: HeldCommand) -> list[str]:
    """A held command as a few lines of text: its id is too long for a table."""
    entry = held.entry
    fields = held_fields(held)
    lines = [
        f"{entry.command_id}  {entry.tenant}, {entry.channel} from {entry.sender} to {fields['recipient']}",
        f"  started {_minute(entry.started_at)}, held since {_minute(entry.at)}: {fields['why']}",
    ]
    return lines if fields["decided"] is None else [*lines, f"  decided: {fields['decided']}"]


def _minute(at_ms: int | None) -> str:
    """The reader's own time, as short as a table wants it."""
    return (clock(at_ms) or "")[:16].replace("T", " ")


_COUNTS = ("rate", "waiting", "calls", "doubt", "held", "today")


def _table(*names: str, right: tuple[str, ...] = ()) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in names:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            # A break makes these unreadable. A number stays whole, a Messaging Service has no room to.
            no_wrap=name in ("state", "waiting", "rate", "since", "until"),
            min_width=_NUMBER_WIDTH if name == "sender" else len(name),
        )
    return made


_NUMBER_WIDTH = 16
