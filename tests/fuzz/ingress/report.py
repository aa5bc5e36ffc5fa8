"""What a run has to show: progress on a terminal, tables at the end, findings with the way to repeat them."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.fuzz.ingress.generator import KINDS
from tests.fuzz.ingress.run import Result

_SHOWN_BYTES = 3000


class ProgressLine:
    """One line that is written over on a terminal, and every ten seconds a new one elsewhere."""

    __slots__ = ("_console", "_next_s", "_total")

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._next_s = 10.0

    def __call__(self, sent: int, seconds: float) -> None:
        line = f"{sent:,} of {self._total:,} requests, {sent / max(seconds, 0.001):,.0f}/s"
        if self._console.is_terminal:
            self._console.print(line, end="\r")
        elif seconds >= self._next_s:
            self._next_s += 10.0
            self._console.print(line)


def show(console: Console, result: Result) -> None:
    """The tables and figures; not the findings."""
    _by_kind(console, result)
    _by_reason(console, result)
    console.print(
        f"{result.sent:,} requests in {result.seconds:.1f} s ({result.sent / result.seconds:,.0f}/s); "
        f"memory of the ingress {result.memory_before >> 20} MB after the warm-up, "
        f"{result.memory_highest >> 20} MB at most; its log {result.log_bytes / 1024:,.0f} KB"
    )


def show_bytes(console: Console, raw: bytes) -> None:
    """As a Python literal, cut where it is long."""
    shown = repr(raw[:_SHOWN_BYTES])
    more = f" … {len(raw) - _SHOWN_BYTES} bytes more" if len(raw) > _SHOWN_BYTES else ""
    console.print(escape(shown) + more, soft_wrap=True, highlight=False)


def _by_kind(console: Console, result: Result) -> None:
    tallies = result.tallies
    table = Table(title="Requests by kind", title_justify="left")
    table.add_column("kind", no_wrap=True)
    columns = ("requests", "signed", "records", "2xx", "4xx", "5xx", "closed", "hung")
    for column in columns:
        table.add_column(column, justify="right")
    total = Counter[str]()
    for kind in (kind for kind in KINDS if kind in tallies):
        tally = tallies[kind]
        row = Counter(requests=tally.requests, signed=tally.signed, records=tally.records)
        for status, count in tally.statuses.items():
            row[_column(status)] += count
        total += row
        table.add_row(kind, *(f"{row[column]:,}" if row[column] else "·" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{total[column]:,}" for column in columns))
    console.print(table)


def _by_reason(console: Console, result: Result) -> None:
    reasons = sum((tally.reasons for tally in result.tallies.values()), Counter[str]())
    table = Table(title="Refusals by reason", title_justify="left")
    table.add_column("answer", no_wrap=True)
    table.add_column("requests", justify="right")
    for reason, count in reasons.most_common():
        table.add_row(escape(reason), f"{count:,}")
    console.print(table)


def _column(status: str) -> str:
    if status.isdigit():
        return f"{status[0]}xx"
    return "hung" if status == "hung" else "closed"
