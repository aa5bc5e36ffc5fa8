"""What can go wrong with the journal on disk. Messages name files, never keys or values."""

from ingress.errors import IngressError


class JournalError(IngressError):
    """Root of this package's errors."""


class JournalUnusable(JournalError):
    """The journal cannot be opened; the message says what is wrong, where, and what to do."""


class JournalLocked(JournalUnusable):
    """Another process has this journal open."""


class JournalFull(JournalError):
    """The entry was not kept: the journal's own bound is reached, or the disk or its quota is full.

    A later one may be kept, when entries were drained or the disk has room again.
    """


class JournalBroken(JournalError):
    """The entry was not kept, or entries could not be read: an I/O error, or the journal is not open.

    After an I/O error an entry may be on the disk all the same and come out after a restart: a repeat is
    recognised by its event id.
    """
