"""The demo's progress: a live table on a terminal, a line every few seconds elsewhere. Only draws."""

import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_LINE_S = 3.0
_STATES = (
    ("sending", "cyan"),
    ("sent", "cyan"),
    ("delivered", "green"),
    ("read", "green"),
    ("undelivered", "yellow"),
    ("failed", "yellow"),
    ("unconfirmed", "yellow"),
    ("suppressed", "magenta"),
    ("invalid", "magenta"),
    ("conflict", "magenta"),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment. `pending` is what the simulator still has to do; `open` the answers still missing."""

    total: int
    published: int
    admitted: int
    states: Counter[str]
    dead_letters: int
    open: int
    pending: int
    elapsed_s: float

    @property
    def per_second(self) -> float:
        """Events answered for good, per second since the first was published."""
        return (self.total - self.open) / self.elapsed_s if self.elapsed_s > 0 else 0.0


class Display:
    """A context manager; `step` names what is being done, `show` draws the progress of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._step = ""
        self._last_line = 0.0

    def step(self, what: str) -> None:
        self._step = what
        self._last_line = 0.0
        self._console.print(f"[bold]▸[/] {what}")

    def show(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(_table(progress), refresh=True)
        elif time.monotonic() - self._last_line >= _LINE_S:
            self._last_line = time.monotonic()
            self._console.print(_line(progress), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _line(progress: Progress) -> str:
    states = ", ".join(f"{progress.states[name]} {name}" for name, _ in _STATES if progress.states[name])
    return (
        f"  {progress.elapsed_s:5.1f} s  {progress.published}/{progress.total} requested, "
        f"{progress.admitted} admitted; {states or 'no outcome yet'}; {progress.open} open"
    )


def _table(progress: Progress) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=14)
    table.add_column(justify="right", width=6)
    table.add_column(width=44)
    rows = [("requested", progress.published, "blue"), ("admitted", progress.admitted, "blue")]
    rows += [(name, progress.states[name], color) for name, color in _STATES]
    rows.append(("dead letters", progress.dead_letters, "magenta"))
    for name, count, color in rows:
        bar = ProgressBar(total=max(1, progress.total), completed=count, width=40, complete_style=color)
        table.add_row(name, str(count), bar)
    answered = progress.total - progress.open
    foot = Text(
        f"{answered}/{progress.total} answered, {progress.per_second:.1f}/s, {progress.elapsed_s:.0f} s; "
        f"carriers have {progress.pending} steps to go",
        style="dim",
    )
    return Group(table, foot)
