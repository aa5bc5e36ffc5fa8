"""What can go wrong with the rows. None of it is the fault of the event at hand: the process must end."""


class StoreError(Exception):
    """Root of this package's errors."""


class StoreInUse(StoreError):
    """Another process has the directory open."""


class StoreBroken(StoreError):
    """The disk does not give back what was written; the next start rebuilds the store from the changelog."""


class RowUnreadable(StoreError):
    """Bytes that are no row of this version: written by a newer one, or not by this program."""


class RecoveryInterrupted(StoreError):
    """The partition was taken away while it was being recovered; what was read of it is kept."""


class NotRecovered(StoreError):
    """A partition was used before its rows were there."""
