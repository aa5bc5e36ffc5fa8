"""One child process: started, known to be ready by its line `READY address`, ended or killed.

Guarantees: what it writes is in its log file; it reads the end of its stdin (`--exit-with-stdin`), so it ends
when this process is gone, even by kill -9; its end is waited for, so that no zombie stays. Leaves to
`children` which processes there are and in which order.
"""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

READY = "READY "
_TAIL_LINES = 15
_POLL_S = 0.02


class SupervisorError(Exception):
    """Something could not be started, stopped or found; the message says what, and ends with its log."""


class ChildDied(SupervisorError):
    """A process that should run has ended by itself."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `env` is its whole environment: nothing leaks in from whoever started the supervisor."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    ready_s: float = 60.0


class Child:
    """A running process of `spec`, its log appended to `log`; `folder` is where it works."""

    def __init__(self, spec: ChildSpec, log: Path, folder: Path) -> None:
        self.spec = spec
        self.log = log
        self._address: str | None = None
        self._said_ready = threading.Event()
        self._started = time.monotonic()
        with open(log, "ab") as log_file:
            self._process = subprocess.Popen(
                spec.argv,
                cwd=folder,
                env=dict(spec.env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                process_group=0,  # Ctrl-C is for the supervisor, which then stops them in order
            )
        self._reader = threading.Thread(target=self._read, name=f"stdout of {spec.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def wait_ready(self) -> str:
        """What followed READY. Raises ChildDied when it ended before, SupervisorError when it takes long."""
        while not self._said_ready.wait(_POLL_S):
            if self.exit_code is not None:
                raise ChildDied(
                    f"{self.spec.name} ended with {self._ending()} before it was ready{self.tail()}"
                )
            if time.monotonic() - self._started > self.spec.ready_s:
                raise SupervisorError(
                    f"{self.spec.name} was not ready after {self.spec.ready_s:g} s{self.tail()}"
                )
        return self._address or ""

    def check(self) -> None:
        """Raises ChildDied when it has ended."""
        if self.exit_code is not None:
            raise ChildDied(f"{self.spec.name} died with {self._ending()}{self.tail()}")

    def terminate(self) -> None:
        """Ask it to end (SIGTERM); no effect on one that has."""
        if self.exit_code is None:
            self._process.terminate()

    def wait_ended(self, deadline: float) -> bool:
        """Whether it ended by itself until `deadline` (monotonic seconds); it is killed when not."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._close()
        return True

    def kill(self) -> None:
        """SIGKILL, and wait for the end: no chance to complete anything."""
        self._process.kill()
        self._process.wait()
        self._close()

    def tail(self) -> str:
        """The end of its log as the end of a sentence."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return f"; {self.log} ends:\n" + ("\n".join(lines) or "(nothing)")

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with open(self.log, "ab", buffering=0) as log:
            for line in stdout:
                text = line.decode(errors="replace").rstrip("\n")
                if text.startswith(READY) and not self._said_ready.is_set():
                    self._address = text.removeprefix(READY)
                    self._said_ready.set()
                else:
                    log.write(line)

    def _close(self) -> None:
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _ending(self) -> str:
        code = self.exit_code
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
