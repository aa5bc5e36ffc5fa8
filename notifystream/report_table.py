"""Reports as tables that fit a terminal of 80 columns."""

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from sinks.analytics.reports import Report

_SHORT = {
    "carrier_source": "from",
    "attempts": "tries",
    "delivered": "deliv.",
    "undelivered": "undel.",
    "unconfirmed": "unconf.",
    "not_sent": "unsent",
    "segments": "segm.",
    "delivered_percent": "deliv. %",
}


def report_table(made: "Report") -> Table:
    """The report with short headings and without the counts that are zero throughout.

    JSON and CSV keep every column under its own name.
    """
    table = Table(title=made.title or None, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    shown = [index for index, _ in enumerate(made.columns) if not (made.title and _all_zero(made, index))]
    for index in shown:
        column = made.columns[index]
        heading = _SHORT.get(column, column.replace("_percent", " %").replace("_", " "))
        numeric = all(isinstance(row[index], (int, float)) or row[index] is None for row in made.rows)
        table.add_column(
            escape(heading if made.title else column),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric,
        )
    for row in made.rows:
        table.add_row(*(_cell(row[index]) for index in shown))
    return table


def _all_zero(made: "Report", index: int) -> bool:
    return all(row[index] == 0 and isinstance(row[index], int) for row in made.rows)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return escape(f"{value:g}" if isinstance(value, float) else str(value))
