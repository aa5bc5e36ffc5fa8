"""What the journal says a sender has spent: so that a new owner of its partition breaks no rate. Pure.

Guarantees: every command that was called counts once, when it was started, in memory that does not grow with
their number: by quarter of an hour (every zone's midnight falls on one), and singly for the last minutes.
"""

from collections import deque
from typing import NamedTuple

from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult

_NEVER_CALLED = frozenset({CommandResult.SUPPRESSED, CommandResult.EXPIRED, CommandResult.CANCELED})
_QUARTER_MS = 15 * 60_000
_LATELY_MS = 2 * 60_000
_DAY_MS = 26 * 3_600_000


class Spent(NamedTuple):
    at: int
    segments: int


class _OfSender:
    def __init__(self) -> None:
        self.quarters: dict[int, int] = {}
        self.lately: deque[Spent] = deque()


class Spending:
    """By sender. Entries may come in any order; each command's first one is to be noted, and no other."""

    def __init__(self) -> None:
        self._senders: dict[str, _OfSender] = {}

    def note(self, entry: JournalEntry) -> None:
        if entry.state in _NEVER_CALLED:
            return
        sender = self._senders.setdefault(entry.sender, _OfSender())
        quarter = entry.started_at // _QUARTER_MS
        if quarter not in sender.quarters:
            first = max([quarter, *sender.quarters]) - _DAY_MS // _QUARTER_MS
            sender.quarters = {each: spent for each, spent in sender.quarters.items() if each >= first}
        sender.quarters[quarter] = sender.quarters.get(quarter, 0) + entry.segments
        sender.lately.append(Spent(entry.started_at, entry.segments))
        while sender.lately[0].at < entry.started_at - _LATELY_MS:
            sender.lately.popleft()

    def since(self, sender: str, start: int) -> int:
        """Segments from `start` on, which is a whole quarter of an hour of the last day."""
        known = self._senders.get(sender)
        if known is None:
            return 0
        return sum(spent for quarter, spent in known.quarters.items() if quarter >= start // _QUARTER_MS)

    def lately(self, sender: str) -> tuple[Spent, ...]:
        """What was spent in the last minutes before its last entry, by time."""
        known = self._senders.get(sender)
        return tuple(sorted(known.lately)) if known else ()
