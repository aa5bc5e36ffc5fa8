"""What a report is made of, and made for."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Value: TypeAlias = str | int | float | None

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Report:
    """A table: every row has one value per column. Percentages are 0 to 100, durations seconds."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    beside: tuple[str, ...] = ()
    """Columns that a narrow table may leave out."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was requested in [since, until), of one tenant or of all. Milliseconds since the epoch."""

    since: int
    until: int
    tenant: str | None

    def earlier(self, milliseconds: int) -> "Window":
        """As long, but that much before."""
        return Window(self.since - milliseconds, self.until - milliseconds, self.tenant)

    def within(self, time_column: str) -> str:
        """As a condition on a DateTime64 column."""
        return (
            f"{time_column} >= fromUnixTimestamp64Milli({self.since}) "
            f"AND {time_column} < fromUnixTimestamp64Milli({self.until})"
        )

    def whole_hours(self) -> tuple[int, int]:
        """The first hour that is in it whole and the hour after the last one, seconds since the epoch."""
        return -(-self.since // (HOUR_S * 1000)) * HOUR_S, self.until // (HOUR_S * 1000) * HOUR_S

    def cut_hours(self) -> tuple[int, ...]:
        """The hours of which only a part is in it, seconds since the epoch."""
        cut = {
            time // (HOUR_S * 1000) * HOUR_S for time in (self.since, self.until) if time % (HOUR_S * 1000)
        }
        return tuple(sorted(cut))


@dataclass(frozen=True, slots=True)
class Asked:
    """A report as it was asked for. `by` replaces what its rows are by; empty is the report's own choice."""

    window: Window
    by: tuple[str, ...]
    now: int
    """Milliseconds since the epoch, for what depends on age."""


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
