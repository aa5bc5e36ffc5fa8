"""What look-ups tell of the numbers of a run, and when: in the place of `notifystream carriers`.

Guarantees: the same notifications get the same answers at the same moments of the plan, about a quarter of
them: before their outcomes are written, among them, or long after; some twice, the older answer last now and
then; some also for a repeat of the request, an hour later; some answers know no carrier, or no country.
Leaves to the run to put them into their table.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.analytics.chaos.tables import LookedUp

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ONE_OF = 4
_TWICE = 0.2
_REPEATED = 0.2
_CARRIERS = (
    ("Telekom", "262", "01"),
    ("Lycamobile", "262", "43"),
    ("Verizon", "311", "480"),
    ("", "", ""),
)


class _Due(NamedTuple):
    at: float
    told: LookedUp


class LookUps:
    """Times are counted in stories, `late` as well; `tell` gets each answer when its time has come."""

    def __init__(self, tell: Callable[[LookedUp], None], late: float) -> None:
        self._tell = tell
        self._late = late
        self._waiting: list[_Due] = []

    def request(self, notification_id: str, requested_at: int, now: int) -> None:
        """Somebody asked for this notification; perhaps its number is looked up."""
        chance = random.Random(notification_id)
        if chance.randrange(_ONE_OF):
            return
        valid_from = requested_at - chance.randrange(30 * _DAY_MS)
        answers = [(requested_at, again) for again in range(2 if chance.random() < _TWICE else 1)]
        if chance.random() < _REPEATED:
            answers.append((requested_at + _HOUR_MS, 0))
        for at, again in answers:
            carrier, mcc, mnc = chance.choice(_CARRIERS)
            told = LookedUp(
                hour=at - at % _HOUR_MS,
                notification_id=notification_id,
                requested_at=at,
                valid_from=valid_from + again,
                carrier=carrier,
                mcc=mcc,
                mnc=mnc,
                line_type="mobile" if carrier else "",
                country=chance.choice(("", "AT", "DE")),
            )
            delay = chance.choice((0.0, chance.uniform(0, 5), chance.uniform(self._late, 2 * self._late)))
            heapq.heappush(self._waiting, _Due(now + delay, told))

    def until(self, now: float) -> None:
        """Tell all that is due."""
        while self._waiting and self._waiting[0].at <= now:
            self._tell(heapq.heappop(self._waiting).told)
