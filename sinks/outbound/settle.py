"""Settling commands in doubt by what the provider has. Pure.

A message at the provider belongs to one command at most, and is recognised by sender, recipient, time and
text. Twilio may have changed the text (smart encoding, a trial account's prefix), so absence is proved only
when there is no unclaimed message at all to that person from that sender in that time, taken wide enough for
two clocks that differ.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import UNKNOWN_TEXT
from sinks.outbound.provider import FoundMessage

CLOCKS_DIFFER_MS = 60_000
"""What our clock may be ahead of the provider's. A message that seems older than its command by no more than
this still stands against the proof of its absence."""


class Settlement(NamedTuple):
    command_id: str
    result: CommandResult
    sid: str | None = None


def settle(
    doubts: Sequence[JournalEntry],
    found: Sequence[FoundMessage],
    claimed: Callable[[str], bool],
    due: Callable[[JournalEntry], bool],
) -> tuple[Settlement, ...]:
    """What the provider's list proves about the open commands of one sender to one person on one channel.

    `doubts` are all of them, `due` says which could no longer be under way when the list was made, and
    `found` goes back to CLOCKS_DIFFER_MS before the first was started. Nothing is returned where nothing is
    proved.
    """
    if not doubts:
        return ()
    earliest = min(entry.started_at for entry in doubts) - CLOCKS_DIFFER_MS
    unclaimed = [m for m in found if m.created_at >= earliest and not claimed(m.sid)]
    if not unclaimed:
        return tuple(Settlement(e.command_id, CommandResult.ABSENT) for e in doubts if due(e))
    settled: list[Settlement] = []
    for digest in {entry.content_digest for entry in doubts}:
        twins = sorted(
            (e for e in doubts if e.content_digest == digest), key=lambda e: (e.started_at, e.command_id)
        )
        matching = sorted(
            (m for m in unclaimed if digest in (m.content_digest, UNKNOWN_TEXT)),
            key=lambda m: (m.created_at, m.sid),
        )
        alone = digest != UNKNOWN_TEXT or len(twins) == len(doubts)
        if alone and len(matching) == len(twins) and all(due(entry) for entry in twins):
            settled += [
                Settlement(entry.command_id, CommandResult.ACCEPTED, message.sid)
                for entry, message in zip(twins, matching, strict=True)
            ]
    return tuple(settled)
