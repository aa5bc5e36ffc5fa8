"""What a run's parts must agree on: times that end within a run, and how badly the provider behaves."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.carrier.magic import Magic
from tests.outbound.simulator import SERVICE

PARTITIONS = 12
TENANTS = ("acme", "beta")
SENDERS = (*(f"+141555501{number:02d}" for number in range(47)), SERVICE)
SLOW_SENDERS = {
    f"+141555502{number:02d}": fate.number
    for number, fate in enumerate(
        (
            Magic.DELIVERED,
            Magic.UNREACHABLE,
            Magic.FILTERED,
            Magic.CALLBACK_FIRST,
            Magic.DUPLICATES,
            Magic.REVERSED,
        )
    )
}
"""Who has more to send than it may, whoever owns its partition meanwhile, and to whom: a person whose
messages the provider takes, as being told to slow down would hide that a rate is broken."""

SLOW_RATE, SLOW_BURST = 1.5, 15.0
"""Segments a second, and at once: what the ledger is held against."""

HELD_UP = 5.0
"""Segments beyond it that are no wrong: what was under way in a process that was stopped arrives when it goes
on, together with what its successor sends; a whole bucket too much is three times as many."""

# A request reaches the provider within the call window and the time a connection may take, 2 s, and is listed
# LIST_LAG_S later: absence may be concluded from then on, and not before.
LIST_LAG_S = 1.5
SETTLE_AFTER_S = 8.0
HOLD_AFTER_S = 60.0
SESSION_TIMEOUT_S = 6.0
FROZEN_S = 25.0
SINK = (
    *("--rate", "400", "--burst", "100", "--concurrency", "64"),
    *("--slow", *SLOW_SENDERS, "--slow-rate", str(SLOW_RATE), "--slow-burst", str(SLOW_BURST)),
    *("--call-window-s", "1", "--connect-timeout-s", "1", "--read-timeout-s", "1.5"),
    *("--settle-after-s", str(SETTLE_AFTER_S), "--hold-after-s", str(HOLD_AFTER_S)),
    *("--session-timeout-s", str(SESSION_TIMEOUT_S)),
)
# Answers lost after acceptance, callbacks before the answer, copies, 5xx, single 429, resets before and
# after: `worst` has more of each than the promise is made for. The bursts of 429 hit look-ups as well.
PROVIDER = (
    *("--chaos", "worst", "--time-scale", "0.01"),
    *("--throttle-bursts", "30,1.5", "--list-lag", str(LIST_LAG_S)),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How many are commanded and killed; whether a process is frozen and a third one joins."""

    seed: int
    commands: int = 20_000
    kills: int = 10
    freeze: bool = True
    third: bool = True
    sabotage: str | None = None
    limit_s: float = 600.0
