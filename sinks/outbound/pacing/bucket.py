"""The token bucket, counted in segments. Pure; times in whole milliseconds on a clock that never goes back.

Tokens are whole billionths of a segment, so that nothing is ever rounded away or up: a bucket looked at every
millisecond gives the same as one looked at once.
"""

import msgspec

UNIT = 1_000_000_000
"""A segment, in the unit tokens are counted in."""

LATE_MS = 10
"""How late a call may begin after its token was there without the sender losing rate for it."""

HELD_UP_MS = 100
"""By how much longer than another a call may be on its way without the two coming too close together."""


class Bucket(msgspec.Struct, frozen=True):
    """In any stretch of `t` seconds no more than `burst + rate * t` segments go, nor arrive.

    What begins at its moment may be held up on its way, and then comes together with what follows it. So of
    the burst, `rate * HELD_UP_MS` are kept back, as far as one segment is left; below ten a second nothing,
    where that would be less than a segment.

    Who always comes a little late to a full bucket loses what ran over. So a bucket has room above what a
    text waits for: what comes in within LATE_MS. That room, too, is taken from the burst where the burst has
    it; where it has not (less than one segment and that), the bucket is larger by it: at most `rate *
    LATE_MS`, four segments at 400 a second, a hundredth of one at 1. A burst of `1 + rate * 0.11` has both.

    A text cannot be cut in pieces: one longer than `reach` waits for that much and leaves a debt behind. By
    what the last such text has more than `reach` the bound can be exceeded.
    """

    gain: int
    """Units a millisecond: a million times the rate in segments a second."""
    reach: int
    depth: int
    tokens: int
    at: int

    @classmethod
    def empty(cls, rate: float, burst: float, at: int) -> "Bucket":
        gain = int(rate * UNIT / 1000)
        late = gain * LATE_MS
        held_up = gain * HELD_UP_MS if gain * HELD_UP_MS >= UNIT else 0
        reach = max(UNIT, int(burst * UNIT) - held_up - late)
        return cls(gain, reach, reach + late, 0, at)

    def filled(self) -> "Bucket":
        """As full as it was before anything was known of it."""
        return msgspec.structs.replace(self, tokens=self.depth, at=0)

    def available(self, now: int) -> int:
        return min(self.depth, self.tokens + max(0, now - self.at) * self.gain)

    def ready_at(self, cost: int, now: int, before: int = 0) -> int:
        """When `cost` segments may go, after `before` others that go first; `now` is at once."""
        missing = min(cost * UNIT, self.reach) + before * UNIT - self.available(now)
        return max(now, self.at) + -(-missing // self.gain) if missing > 0 else now

    def take(self, cost: int, now: int) -> "Bucket":
        tokens = self.available(now) - cost * UNIT
        return msgspec.structs.replace(self, tokens=tokens, at=max(now, self.at))

    def at_gain(self, gain: int, now: int) -> "Bucket":
        """From now on it fills at another rate."""
        return msgspec.structs.replace(self, gain=gain, tokens=self.available(now), at=max(now, self.at))

    def empty_until(self, moment: int) -> "Bucket":
        """Nothing goes up to and at that moment, and nothing is saved up for it; a debt stays."""
        tokens = min(self.available(moment), 0)
        return msgspec.structs.replace(self, tokens=tokens, at=max(moment, self.at))
