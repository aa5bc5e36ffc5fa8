"""What a run's parts must agree on."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.topics import Topic

PARTITIONS = 4
GROUP = "chaos-analytics"
KEY = bytes(range(32))
STAGE = "sinks.analytics"
"""Under which name the sink gives records up."""

LANDS = (
    Topic.STATUS,
    Topic.ATTEMPTS,
    Topic.OUTCOMES,
    Topic.REQUESTS,
    Topic.INBOUND,
    Topic.CONSENT_CHANGES,
    Topic.DEAD_LETTERS,
)
NOWHERE = "nowhere"
"""A topic nobody reads, for what a broken sink is to lose."""

SESSION_TIMEOUT_S = 3.0
"""How long the group waits for a killed member, with two heartbeats to miss; so ten kills take no minute."""
HEARTBEAT_S = 1.0

SPREAD_DAYS = 20
"""The events lie so far apart: two months at most times, and no table's retention meets them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`base_ms`: no event is later; a day's start, so that a seed repeats within the day. `blinks`: how often
    the database is killed in the middle of its inserts and back at once, besides its absence."""

    seed: int
    base_ms: int
    events: int = 500_000
    kills: int = 10
    away_s: float = 10.0
    blinks: int = 2
    third: bool = True
    sabotage: str | None = None
    limit_s: float = 900.0

    @property
    def batch_rows(self) -> int:
        """Sixty batches and more, so that the kills fall into different ones."""
        return max(100, min(8_000, self.events // 60))

    @property
    def most_unread(self) -> int:
        """The sinks are never given so much that one burst would outrun the kills."""
        return max(1_000, min(40_000, self.events // 8))
