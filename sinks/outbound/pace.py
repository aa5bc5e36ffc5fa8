"""A sender's rate: a token bucket counted in segments. Pure; seconds on any steady clock."""

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """Never lets more than `burst + rate * seconds` segments through in any stretch of time.

    A text cannot be cut in pieces: one longer than the burst waits for a full bucket and then leaves a debt
    behind. Only by what the last such text has more than the burst is the bound ever exceeded.
    """

    rate: float
    burst: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> "Bucket":
        return cls(rate, burst, burst, now)

    def available(self, now: float) -> float:
        return min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)

    def ready_at(self, cost: int, now: float) -> float:
        """When this many segments may go; `now` or earlier means at once."""
        missing = min(cost, self.burst) - self.available(now)
        return max(now, self.at) + missing / self.rate if missing > 1e-9 else now

    def take(self, cost: int, now: float) -> "Bucket":
        return msgspec.structs.replace(self, tokens=self.available(now) - cost, at=max(now, self.at))

    def pause_until(self, moment: float) -> "Bucket":
        """Empty until then: the provider asked for it."""
        return msgspec.structs.replace(self, tokens=min(self.available(moment), 0.0), at=max(moment, self.at))
