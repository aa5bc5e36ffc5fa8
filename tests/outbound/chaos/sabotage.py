"""A sink with one promise broken, to see that the verdict notices: `--sabotage NAME`."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

import msgspec

from sinks.outbound.doubts import Doubts
from sinks.outbound.journal import Journal
from sinks.outbound.pacing import sender
from sinks.outbound.pacing.meter import Meter
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.spending import Spending
from sinks.outbound.turn import Transactions, TurnFailed

_LATE_S = 0.5


def late_journal() -> None:
    """A turn counts as committed before it is: its calls begin while nobody else could know of them."""
    commit = Transactions.commit
    turns: SimpleQueue[tuple[float, tuple[Any, ...]]] = SimpleQueue()

    def later(*turn: Any) -> None:
        turns.put((time.monotonic() + _LATE_S, turn))

    def work() -> None:
        while True:
            due, turn = turns.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                commit(*turn)
            except TurnFailed as failed:
                # As the worker's own loop would end.
                print(f"TurnFailed: {failed}", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=work, name="late-journal", daemon=True).start()
    setattr(Transactions, "commit", later)  # noqa: B010 - mypy lets no method be assigned


def called_again() -> None:
    """A command that was started, and of which no end is known, counts as new."""

    knows = Journal.knows

    def forgets(self: Journal, command_id: str) -> bool:
        return knows(self, command_id) and self.open_entry(command_id) is None

    setattr(Journal, "knows", forgets)  # noqa: B010


def hasty_proof() -> None:
    """One look-up settles a doubt at once, while the provider's list may not show the message yet."""
    begin = Doubts.__init__

    def hasty(self: Any, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self._settle_after_ms = 0

    setattr(Doubts, "__init__", hasty)  # noqa: B010


def full_bucket() -> None:
    """Whoever takes a sender over lets it send as if it had been silent."""

    def full(rate: SenderRate, spending: Spending, name: str, owned_since: int) -> Meter:
        meter = Meter.empty(rate, owned_since)
        return msgspec.structs.replace(meter, bucket=meter.bucket.filled())

    setattr(sender, "_meter_after", full)  # noqa: B010 - as above


SABOTAGE: Mapping[str, Callable[[], None]] = {
    "late-journal": late_journal,
    "called-again": called_again,
    "hasty-proof": hasty_proof,
    "full-bucket": full_bucket,
}
