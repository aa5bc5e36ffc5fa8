"""Processor time by thread, from Linux's /proc: what a request costs, whatever else runs on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Threads that took less than this in a measurement are not worth a line.
_LEAST_S = 0.05


class Spent(msgspec.Struct, frozen=True):
    """Processor time of one thread per request, in microseconds."""

    thread: str
    microseconds: float


class Spending:
    """Between the beginning and the end of a `spent_by` block."""

    def __init__(self, before: dict[str, tuple[str, float]]) -> None:
        self._before = before
        self._after: dict[str, tuple[str, float]] = {}

    def end(self, after: dict[str, tuple[str, float]]) -> None:
        self._after = after

    def per_request(self, requests: int) -> list[Spent]:
        """Of each thread that did anything; the busiest first."""
        found = [
            Spent(name, round((seconds - self._before.get(thread, (name, 0.0))[1]) / requests * 1e6, 2))
            for thread, (name, seconds) in self._after.items()
            if seconds - self._before.get(thread, (name, 0.0))[1] > _LEAST_S
        ]
        return sorted(found, key=lambda spent: -spent.microseconds)


@contextmanager
def spent_by(pid: int) -> Iterator[Spending]:
    """Measures the process's threads while the block runs."""
    spending = Spending(_threads(pid))
    try:
        yield spending
    finally:
        spending.end(_threads(pid))


def _threads(pid: int) -> dict[str, tuple[str, float]]:
    found: dict[str, tuple[str, float]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        stat = (task / "stat").read_text()
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        fields = stat[stat.rindex(")") + 2 :].split()
        found[task.name] = (name, (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)
    return found
