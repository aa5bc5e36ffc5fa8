"""Sending slower when the provider or a carrier says it is too fast, and faster again when it is quiet. Pure.

Guarantees: every round of rate answers halves what a sender may send, down to a sixteenth, and every ten
quiet seconds give back a tenth of its set rate: additive up, multiplicative down, as TCP does (RFC 5681).
"""

import msgspec

WHOLE = 160
"""The set rate, in the parts shares are counted in."""
_LEAST, _STEP = WHOLE // 16, WHOLE // 10
QUIET_MS = 10_000
ROUND_MS = 1_000
"""Rate answers this close together speak of the same calls: together they halve once."""


class Slowdown(msgspec.Struct, frozen=True):
    """`share` of the set rate since `quiet_since`; that is later than now while the provider said to wait."""

    share: int = WHOLE
    quiet_since: int = 0
    cut_at: int | None = None

    def share_at(self, now: int) -> int:
        steps = max(0, now - self.quiet_since) // QUIET_MS
        return min(WHOLE, self.share + _STEP * steps)

    def next_change(self, now: int) -> int | None:
        """When the share will be larger than it is now; None when it is whole."""
        if self.share_at(now) >= WHOLE:
            return None
        return self.quiet_since + (max(0, now - self.quiet_since) // QUIET_MS + 1) * QUIET_MS

    def told(self, now: int, wait_until: int) -> "Slowdown":
        """A rate answer came, and asked to send nothing before `wait_until`."""
        quiet_since = max(now, wait_until, self.quiet_since)
        share = self.share_at(now)
        if self.cut_at is not None and now - self.cut_at < ROUND_MS:
            return Slowdown(share, quiet_since, self.cut_at)
        return Slowdown(max(_LEAST, share // 2), quiet_since, now)
