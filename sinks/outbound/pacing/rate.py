"""What limits a sender, and who has which limits. Pure.

Guarantees: a rate that exists makes sense. Leaves to others: where the numbers are written down
(`streams.policy`) and everything that keeps them (`meter`, `day`, `sender`).
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streams.policy.senders import bare_sender

PACIFIC = "America/Los_Angeles"
"""Where T-Mobile's day of daily caps begins (facts, Twilio section 4)."""


class UnusableRate(Exception):
    """A number that limits nothing, or nobody."""


class SenderRate(msgspec.Struct, frozen=True, kw_only=True):
    """Segments per second, how many of them at once after a silence, per day, and calls at the same time.

    `daily_segments` counts from midnight to midnight in `day_zone`; None is no cap. `concurrency` is the
    sender's own limit beside the process's; None is none.
    """

    segments_per_s: float = 1.0
    burst: float = 1.0
    daily_segments: int | None = None
    day_zone: str = PACIFIC
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("segments_per_s", self.segments_per_s, 0.001),
            ("burst", self.burst, 1),
            ("daily_segments", self.daily_segments, 1),
            ("concurrency", self.concurrency, 1),
        ):
            if value is not None and not least <= value < float("inf"):
                raise UnusableRate(f"{name} is {value:g}: it must be a number of {least:g} or more")
        try:
            ZoneInfo(self.day_zone)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise UnusableRate(
                f"day_zone is {self.day_zone!r}: write a time zone such as {PACIFIC}"
            ) from unknown


class Rates:
    """Every sender's rate: its own if it has one, else the default."""

    def __init__(self, default: SenderRate, own: Mapping[str, SenderRate] | None = None) -> None:
        self._default = default
        self._own = {bare_sender(name): rate for name, rate in (own or {}).items()}

    def of(self, sender: str) -> SenderRate:
        """Of a sender with or without its channel prefix."""
        return self._own.get(bare_sender(sender), self._default)
