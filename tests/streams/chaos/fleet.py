"""The processes of the stream processors: started, killed, and started again under their name and directory.

Guarantees: none outlives the block, nor this process (they end with their stdin). One that ends by itself is
started again as a supervisor would, and told of: whether that was right is for the verdict.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import ROOT

_STOP_S = 40.0
_GIVING_UP = ("OutputsFailed", "LeaseLost")


class FleetError(Exception):
    """A process did not end as it should; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without having been told to. `gave_up`: as is right for one that the broker leaves
    without an answer; on a machine with too much to do that happens."""

    name: str
    code: int
    at: float
    last_words: str
    gave_up: bool


class Fleet:
    def __init__(self, bootstrap: str, registry: str, directory: Path, sabotage: str | None = None) -> None:
        self._options = ["--bootstrap", bootstrap, "--registry", registry]
        if sabotage is not None:
            self._options += ["--sabotage", sabotage]
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._begun: dict[str, int] = {}
        self.ended: list[Ended] = []
        self.kills: list[str] = []

    @property
    def names(self) -> list[str]:
        return list(self._running)

    def datadir(self, name: str) -> Path:
        return self._directory / f"data-{name}"

    def log(self, name: str) -> Path:
        return self._directory / f"streams-{name}.log"

    def start(self, name: str) -> None:
        log = self.log(name)
        self._begun[name] = len(log.read_text(errors="replace")) if log.exists() else 0
        with open(log, "ab") as stderr, open(self._directory / f"streams-{name}.out", "ab") as stdout:
            self._running[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.streams.chaos.serve", *self._options),
                    *("--instance", name, "--datadir", str(self.datadir(name))),
                ],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
            )

    def ready(self, name: str) -> bool:
        """Whether it has recovered its partitions at least once."""
        return b"READY" in (self._directory / f"streams-{name}.out").read_bytes()

    def kill(self, name: str) -> None:
        """SIGKILL, and at once its successor."""
        process = self._running[name]
        process.send_signal(signal.SIGKILL)
        self._reap(process)
        self.kills.append(name)
        self.start(name)

    def tend(self) -> None:
        """Start again who ended by itself."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                self._reap(process)
                self.ended.append(self._obituary(name, code))
                self.start(name)

    def stop(self) -> None:
        """In order, by SIGTERM. Raises FleetError."""
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
            self._reap(process)

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def _obituary(self, name: str, code: int) -> Ended:
        said = self.log(name).read_text(errors="replace")[self._begun[name] :]
        gave_up = code == 1 and any(f"reason={why}(" in said for why in _GIVING_UP)
        return Ended(name, code, time.monotonic(), self._tail(name), gave_up)

    def _tail(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-12:])
