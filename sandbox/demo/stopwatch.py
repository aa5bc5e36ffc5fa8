"""By when each status callback was answered, as far as whoever asks for the ledger again and again can tell.

Guarantees: a callback's answer was there at the latest when `answered_by` says; the ledger holds a POST once
it has ended, and the time is taken after the ledger came. Leaves to `run` when to look.
"""

import time

from sandbox.carrier.ledger import Ledger, fetch_ledger

_EVERY_S = 0.5
# A ledger grows: reading it may take this share of the time, and no more.
_SHARE = 0.05


class Stopwatch:
    """For one simulator."""

    def __init__(self, carrier_url: str) -> None:
        self._url = carrier_url
        self._due_at = 0.0
        self._known = 0
        self.answered_by: dict[tuple[str, int], int] = {}
        """Milliseconds since the epoch, by the callback's token and attempt."""

    def look_when_due(self) -> None:
        """Raises SimulatorError."""
        if time.monotonic() >= self._due_at:
            self.look()

    def look(self) -> Ledger:
        """The ledger as it is now. Raises SimulatorError."""
        began = time.monotonic()
        ledger = fetch_ledger(self._url)
        took_s, now = time.monotonic() - began, time.time_ns() // 1_000_000
        for post in ledger.callbacks[self._known :]:
            self.answered_by[post.token, post.attempt] = now
        self._known = len(ledger.callbacks)
        self._due_at = time.monotonic() + max(_EVERY_S, took_s / _SHARE)
        return ledger
