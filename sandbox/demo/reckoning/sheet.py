"""What a report must say, and where another says something else. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sinks.analytics.reports import Report, Value

_ROWS = "number of rows"


class Between(NamedTuple):
    """A figure that is only known to lie here."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.6g} to {self.high:.6g}"


Cell: TypeAlias = Value | Between


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report's rows by the values of its `keys`, with the columns that are known; those in `uncertain` may
    also not be there."""

    report: str
    keys: tuple[str, ...]
    rows: Mapping[tuple[Value, ...], Mapping[str, Cell]]
    uncertain: frozenset[tuple[Value, ...]] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one report that is not what it must be. `hours`: how they were read, live or summed."""

    report: str
    row: str
    column: str
    ours: str
    must_be: str
    hours: str = ""

    def __str__(self) -> str:
        read = f" ({self.hours} hours)" if self.hours else ""
        return f"{self.column} of {self.row} is {self.ours}, and must be {self.must_be}{read}"


class Compared(NamedTuple):
    """How many figures were looked at, and those that are wrong."""

    figures: int
    differences: tuple[Difference, ...]


def compared(sheet: Sheet, made: Report) -> Compared:
    """Every known figure of every row; also rows that are missing, too many or there twice."""
    places = [made.columns.index(key) for key in sheet.keys]
    found: dict[tuple[Value, ...], tuple[Value, ...]] = {}
    differences: list[Difference] = []
    for row in made.rows:
        key = tuple(row[place] for place in places)
        if key in found:
            differences.append(_difference(sheet, key, _ROWS, "2", "1"))
        elif key not in sheet.rows:
            differences.append(_difference(sheet, key, _ROWS, "1", "0"))
        found[key] = row
    figures = 1
    for key, cells in sheet.rows.items():
        figures += len(cells)
        if key not in found:
            if key not in sheet.uncertain:
                differences.append(_difference(sheet, key, _ROWS, "0", "1"))
            continue
        for column, cell in cells.items():
            ours = found[key][made.columns.index(column)]
            if not _fits(cell, ours):
                differences.append(_difference(sheet, key, column, _shown(ours), _shown(cell)))
    return Compared(figures, tuple(differences))


def _fits(cell: Cell, ours: Value) -> bool:
    if isinstance(cell, Between):
        return isinstance(ours, int | float) and cell.low <= ours <= cell.high
    return cell == ours


def _difference(sheet: Sheet, key: tuple[Value, ...], column: str, ours: str, must_be: str) -> Difference:
    row = " ".join(str(part) for part in key if part != "") or "all"
    return Difference(sheet.report, row, column, ours, must_be)


def _shown(cell: Cell) -> str:
    return "nothing" if cell is None else str(cell)
