"""Quiet hours: when a person may be written to, by the clock where they are.

A number tells the time zones it may be in. When it tells several, the strictest counts: sending is allowed
while it is in all of them. Guarantees: pure; an instant is inside the hours or not by the wall clock of each
zone, also on the days on which that clock jumps, where the narrower reading counts.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from streams.policy import QuietHours, TenantPolicy
from streams.policy.values import EVERY_DAY, Hours

_UNKNOWN_ZONE = "Etc/Unknown"
# Hours come again after a week; one day more for the way round the earth, one for a jump of the clock.
_HORIZON_DAYS = 9
_DAY_MS = 86_400_000


class Span(NamedTuple):
    """From `opens` to `closes`, which is not included; milliseconds since the epoch."""

    opens: int
    closes: int


def zones_of(recipient: str, policy: TenantPolicy) -> tuple[ZoneInfo, ...]:
    """The time zones an E.164 number may be in; the policy's own for one that tells none."""
    names: tuple[str, ...] = ()
    try:
        names = time_zones_for_number(phonenumbers.parse(recipient))
    except phonenumbers.NumberParseException:
        names = (_UNKNOWN_ZONE,)
    return tuple(ZoneInfo(policy.unknown_zone if name == _UNKNOWN_ZONE else name) for name in names)


def next_allowed(zones: tuple[ZoneInfo, ...], at: int, quiet: QuietHours) -> Span | None:
    """The first span that has not ended by `at` in which sending is allowed in all zones.

    It begins at `at` when sending is allowed then. None when the zones never agree.
    """
    now, last = at, at + _HORIZON_DAYS * _DAY_MS
    spans = [_span(zone, at, quiet) for zone in zones]
    while now < last:
        spans = [
            span if span.closes > now else _span(zone, now, quiet)
            for zone, span in zip(zones, spans, strict=True)
        ]
        opens = max(span.opens for span in spans)
        if opens <= now:
            return Span(now, min(span.closes for span in spans))
        now = opens
    return None


def _span(zone: ZoneInfo, at: int, quiet: QuietHours) -> Span:
    """The first span of one zone that has not ended by `at`; days that touch are one span."""
    hours = quiet.hours
    days = {EVERY_DAY.index(day) for day in quiet.days}
    day = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date()
    found: Span | None = None
    for _ in range(_HORIZON_DAYS):
        if day.weekday() in days:
            span = _of_day(zone, day, hours)
            if found is not None and span.opens > found.closes:
                return found
            if span.closes > max(at, span.opens):
                found = span if found is None else Span(found.opens, span.closes)
        elif found is not None:
            return found
        day += timedelta(days=1)
    return found or Span(at + _HORIZON_DAYS * _DAY_MS, at + _HORIZON_DAYS * _DAY_MS)


@lru_cache(maxsize=4096)  # many people share a zone and a day
def _of_day(zone: ZoneInfo, day: date, hours: Hours) -> Span:
    return Span(max(_instants(zone, day, hours.opens)), min(_instants(zone, day, hours.closes)))


def _instants(zone: ZoneInfo, day: date, minute: int) -> tuple[int, int]:
    """Where the wall clock shows this minute; two places when it shows it twice, or jumps over it."""
    local = datetime.combine(day, time()) + timedelta(minutes=minute)
    first, second = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return round(first * 1000), round(second * 1000)
