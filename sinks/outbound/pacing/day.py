"""A carrier's day, and how much of its daily cap a sender has spent. Pure; times in ms since the epoch."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec


class Day(msgspec.Struct, frozen=True):
    """From `start` to `end`, which is not included. A day of a zone has 23 to 25 hours."""

    zone: str
    start: int
    end: int
    spent: int = 0

    @classmethod
    def around(cls, now: int, zone: str) -> "Day":
        """The untouched day that `now` is in."""
        place = ZoneInfo(zone)
        here = datetime.fromtimestamp(now / 1000, UTC).astimezone(place)
        midnight = datetime(here.year, here.month, here.day, tzinfo=place)
        return cls(zone, _ms(midnight), _ms(midnight + timedelta(days=1)))

    def at(self, now: int) -> "Day":
        """This day while it lasts, then the next one."""
        return self if self.start <= now < self.end else Day.around(now, self.zone)

    def plus(self, segments: int) -> "Day":
        return msgspec.structs.replace(self, spent=max(0, self.spent + segments))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
