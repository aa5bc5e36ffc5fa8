"""How far a long run is, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """One line, written over on a terminal; elsewhere one every ten seconds."""
    on_terminal = sys.stderr.isatty()
    last = 0.0

    def show(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < (0.2 if on_terminal else 10):
            return
        last = now
        print(
            f"\r\x1b[K{line}" if on_terminal else line,
            end="" if on_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    try:
        yield show
    finally:
        if on_terminal:
            print(file=sys.stderr)
