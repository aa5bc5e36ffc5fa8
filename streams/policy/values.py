"""The values a policy file is written in: durations, clock times, hours of the day.

Guarantees: a text that is none of these is refused with the form it should have. In Python a duration is an
integer of milliseconds and a clock time an integer of minutes since midnight; only the file has texts.
"""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

MINUTES_OF_DAY = 24 * 60
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_HOURS = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
LONGEST_MS = 366 * _UNITS["d"]

if TYPE_CHECKING:
    Duration = int
else:

    class Duration(int):
        """Milliseconds; a class of its own only so that the file's reader knows a duration from a number."""


class Weekday(StrEnum):
    """In the order of `date.weekday()`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


EVERY_DAY = tuple(Weekday)


class Hours(msgspec.Struct, frozen=True):
    """From `opens` to `closes`, in minutes since midnight of the same day; `closes` is not included."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= MINUTES_OF_DAY:
            raise ValueError("hours must begin before they end, between 00:00 and 24:00")


def duration(text: object) -> Duration:
    """Milliseconds of `90s`, `5m`, `12h` or `7d`. Raises ValueError."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no duration: write a number and ms, s, m, h or d, such as 90s")
    made = int(found[1]) * _UNITS[found[2]]
    if made > LONGEST_MS:
        raise ValueError(f"{text!r} is too long: at most 366d")
    return Duration(made)


def hours(text: object) -> Hours:
    """The hours of `08:00-21:00`. Raises ValueError."""
    found = _HOURS.fullmatch(text) if isinstance(text, str) else None
    if found is None or int(found[2]) > 59 or int(found[4]) > 59:
        raise ValueError(f"{text!r} are no hours: write them as 08:00-21:00")
    return Hours(int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4]))


def from_text(wanted: type, value: Any) -> Any:
    """For msgspec: a value of the file as one of the types here."""
    if wanted is Duration:
        return duration(value)
    raise NotImplementedError(wanted)
