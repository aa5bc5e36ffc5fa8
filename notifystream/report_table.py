"""Reports as tables that fit a terminal of 80 columns."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from sinks.analytics.reports import Report

_SHORT = {
    "country": "",
    "attempts": "tries",
    "delivered": "deliv.",
    "undelivered": "undel.",
    "unconfirmed": "silent",
    "not_sent": "unsent",
    "delivered_percent": "deliv. %",
    "on_their_way": "under way",
    "cost_per_delivered": "each",
    "cost_per_segment": "a segment",
    "earlier_attempts": "earlier",
    "sent_to_delivered_p50_s": "p50 s",
    "sent_to_delivered_p99_s": "p99 s",
    "sent_to_delivered_count": "deliv.",
    "requested_to_sent_p50_s": "p50 s",
    "requested_to_sent_p99_s": "p99 s",
    "requested_to_sent_count": "sent",
}
_ONLY_IN_JSON_AND_CSV = frozenset({"carrier_source", "segments"})
_NARROWEST_TEXT = 12


def report_table(made: "Report") -> Table:
    """The report with short headings and without the counts that are zero throughout.

    JSON and CSV keep every column under its own name.
    """
    table = Table(
        title=made.title or None, title_justify="left", header_style="bold", box=None, pad_edge=False
    )
    hidden = _ONLY_IN_JSON_AND_CSV.union(made.beside)
    shown = [
        index
        for index, column in enumerate(made.columns)
        if not (made.title and (column in hidden or _all_zero(made, index)))
    ]
    for index in shown:
        column = made.columns[index]
        heading = _SHORT.get(column, column.replace("_percent", " %").replace("_", " "))
        numeric = all(isinstance(row[index], (int, float)) or row[index] is None for row in made.rows)
        longest = max((len(_cell(row[index])) for row in made.rows), default=0)
        table.add_column(
            escape(heading if made.title else column),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric,
            min_width=None if numeric else min(longest, _NARROWEST_TEXT),
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
