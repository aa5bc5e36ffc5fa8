"""When a sender's next text may go: its bucket, filling slower while it is told to slow down. Pure."""

import msgspec

from sinks.outbound.pacing.bucket import UNIT, Bucket
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.slowdown import WHOLE, Slowdown


class Meter(msgspec.Struct, frozen=True):
    """Times in ms. `at` before everything else: it brings the bucket's rate up to that time."""

    full_gain: int
    bucket: Bucket
    slowdown: Slowdown = Slowdown()
    changes_at: int | None = None

    @classmethod
    def empty(cls, rate: SenderRate, at: int) -> "Meter":
        bucket = Bucket.empty(rate.segments_per_s, rate.burst, at)
        return cls(bucket.gain, bucket)

    def owing(self, units: int) -> "Meter":
        """With that much less in the bucket."""
        bucket = msgspec.structs.replace(self.bucket, tokens=self.bucket.tokens - units)
        return msgspec.structs.replace(self, bucket=bucket)

    def at(self, now: int) -> "Meter":
        """The meter as it is then: every change of the rate up to then took effect at its own time."""
        if self.changes_at is None or self.changes_at > now:
            return self
        bucket, moment = self.bucket, self.changes_at
        changes_at: int | None = moment
        while changes_at is not None and changes_at <= now:
            moment = changes_at
            bucket = bucket.at_gain(self._gain(self.slowdown, moment), moment)
            changes_at = self.slowdown.next_change(moment)
        return msgspec.structs.replace(self, bucket=bucket, changes_at=changes_at)

    def ready_at(self, cost: int, now: int, before: int = 0) -> int:
        """When `cost` segments may go at the rate of now, after `before` others; `now` is at once."""
        return self.bucket.ready_at(cost, now, before)

    def again_at(self, moment: int, now: int) -> int:
        """When to look again what `ready_at` says, at that moment or when the rate grows."""
        return moment if self.changes_at is None else min(moment, max(now + 1, self.changes_at))

    def may_go(self, cost: int, now: int) -> bool:
        return self.ready_at(cost, now) <= now

    def take(self, cost: int, now: int) -> "Meter":
        return msgspec.structs.replace(self, bucket=self.bucket.take(cost, now))

    def told_to_slow_down(self, now: int, wait_ms: int) -> "Meter":
        """Half the rate from now on, and nothing at all for `wait_ms`."""
        slowdown = self.slowdown.told(now, now + wait_ms)
        bucket = self.bucket.at_gain(self._gain(slowdown, now), now).empty_until(now + wait_ms)
        return msgspec.structs.replace(
            self, bucket=bucket, slowdown=slowdown, changes_at=slowdown.next_change(now)
        )

    def segments_per_s(self) -> float:
        return self.bucket.gain * 1000 / UNIT

    def tokens(self, now: int) -> float:
        return self.bucket.available(now) / UNIT

    def _gain(self, slowdown: Slowdown, now: int) -> int:
        return max(1, self.full_gain * slowdown.share_at(now) // WHOLE)
