"""The processes of a run: started, killed, frozen, and started again under their names.

Guarantees: none outlives the block, nor this process (they end with their stdin). One that ends by itself is
started again as a supervisor would, and told of: whether that was right is for the run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import ROOT

_STOP_S = 40.0


class FleetError(Exception):
    """A process did not end as it should; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without having been told to, and when (time.monotonic()).

    `gave_up`: with a reason that may be right, as when the broker leaves it without an answer.
    """

    name: str
    at: float
    code: int
    gave_up: bool
    last_words: str


class Fleet:
    """`arguments` of a name are the module and its options; `giving_up` are the words of a process that must
    end because another has its partitions or the broker leaves it alone."""

    def __init__(
        self, directory: Path, arguments: Callable[[str], Sequence[str]], giving_up: Sequence[str]
    ) -> None:
        self._directory = directory
        self._arguments = arguments
        self._giving_up = giving_up
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._begun: dict[str, int] = {}
        self.frozen: set[str] = set()
        self.ended: list[Ended] = []
        self.kills: list[str] = []

    @property
    def names(self) -> list[str]:
        return list(self._running)

    def start(self, name: str) -> None:
        log = self._log(name)
        self._begun[name] = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as stderr, open(self._directory / f"{name}.out", "ab") as stdout:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *self._arguments(name)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
            )

    def ready(self, name: str) -> bool:
        """Whether it has taken partitions over at least once."""
        return b"READY" in (self._directory / f"{name}.out").read_bytes()

    def kill(self, name: str) -> None:
        """SIGKILL, and at once its successor."""
        process = self._running[name]
        process.send_signal(signal.SIGKILL)
        _reap(process)
        self.kills.append(name)
        self.start(name)

    def freeze(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGSTOP)
        self.frozen.add(name)

    def thaw(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)
        self.frozen.discard(name)

    def tend(self) -> list[Ended]:
        """Start again who ended by itself. Returns who that was."""
        found = []
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                _reap(process)
                said = self._log(name).read_bytes()[self._begun[name] :].decode(errors="replace")
                gave_up = code == 1 and any(why in said for why in self._giving_up)
                found.append(Ended(name, time.monotonic(), code, gave_up, self._tail(name)))
                self.start(name)
        self.ended += found
        return found

    def stop(self) -> None:
        """By SIGTERM. Raises FleetError."""
        for process in self._running.values():
            process.terminate()
        wrong = []
        for name, process in self._running.items():
            try:
                code = process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                wrong.append(f"{name} still ran {_STOP_S:g} s after SIGTERM")
                continue
            if code != 0:
                wrong.append(f"{name} ended with exit code {code}; its log ends:\n{self._tail(name)}")
        if wrong:
            raise FleetError("\n".join(wrong))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            _reap(process)

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-12:])


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    assert process.stdin is not None
    process.stdin.close()
