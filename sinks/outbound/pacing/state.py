"""What can be seen of a sender and its waiting commands."""

import msgspec

from schemas.vocabulary import Priority
from sinks.outbound.pacing.pauses import Pause
from sinks.outbound.pacing.rate import SenderRate


class LanePace(msgspec.Struct, frozen=True):
    """`oldest_ms` is how long ago the one waiting longest was commanded, None when none waits."""

    lane: Priority
    waiting: int
    oldest_ms: int | None


class SenderPace(msgspec.Struct, frozen=True, kw_only=True):
    """A sender at one moment. Times in ms since the epoch.

    `segments_per_s` is the rate now, `rate.segments_per_s` the one that is set; `tokens` are the segments
    that may go at once, negative after a text longer than the burst. `in_flight` are commands given to the
    journal and not answered yet. `nothing_before` is what a provider's Retry-After asks for, None when that
    is over. `spent_today` counts segments since midnight in `rate.day_zone`. `pauses` are all that concern
    it: its own, everything's, and those of the tenants and providers whose commands wait here.
    """

    sender: str
    rate: SenderRate
    segments_per_s: float
    tokens: float
    nothing_before: int | None
    lanes: tuple[LanePace, ...]
    in_flight: int
    spent_today: int
    day_ends_at: int
    pauses: tuple[Pause, ...]
