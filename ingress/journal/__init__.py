"""Accepted records on the local disk until the broker has them: see `ingress.journal.journal`."""

from ingress.journal.entries import Entry, Kept, Position
from ingress.journal.errors import (
    JournalBroken,
    JournalError,
    JournalFull,
    JournalLocked,
    JournalUnusable,
)
from ingress.journal.journal import Journal
from ingress.journal.opening import left_behind

__all__ = [
    "Entry",
    "Journal",
    "JournalBroken",
    "JournalError",
    "JournalFull",
    "JournalLocked",
    "JournalUnusable",
    "Kept",
    "Position",
    "left_behind",
]
