"""Start one of this project's own servers as a child process and learn its address.

Guarantees: the server is gone when the `with` block ends, and also when this process is killed, because it
reads the end of its stdin (`--exit-with-stdin`); one that does not answer is reported with what it logged.
Leaves to the server: the contract of one line `READY address` on stdout, log on stderr, exit 0 on SIGTERM.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
ROOT = Path(__file__).resolve().parent.parent


class ServerFailedError(Exception):
    """A child server did not start or did not end as it should; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers at `address`, as the line READY gave it: a URL or host:port."""

    module: str
    address: str
    pid: int
    log: Path


@contextmanager
def running(
    module: str,
    *options: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float = START_TIMEOUT_S,
) -> Iterator[Server]:
    """`python -m module options… --exit-with-stdin` from its READY line to the end of the block.

    stderr is written to `log`; `env` is added to this process's environment. Raises ServerFailedError when no
    READY comes within `timeout_s` seconds, or when the server ends otherwise than by exit 0 or SIGKILL.
    """
    command = [sys.executable, "-m", module, *options, "--exit-with-stdin"]
    with (
        open(log, "ab") as log_file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            process_group=0,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = _first_line(process.stdout, time.monotonic() + timeout_s)
            word, _, address = line.partition(" ")
            if word != "READY" or not address:
                raise ServerFailedError(
                    f"{module} was to print 'READY address' within {timeout_s:g} s and printed {line!r} "
                    f"(exit code {process.poll()}); its log ends:\n{_tail(log)}"
                )
            yield Server(module, address, process.pid, log)
            _stop(process, module, log)
        finally:
            if process.poll() is None:
                process.kill()


def _stop(process: subprocess.Popen[bytes], module: str, log: Path) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        code = process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ServerFailedError(
            f"{module} still ran {STOP_TIMEOUT_S:g} s after SIGTERM; its log ends:\n{_tail(log)}"
        ) from None
    # SIGKILL is a test's own doing, and its point.
    if code not in (0, -signal.SIGKILL):
        raise ServerFailedError(f"{module} ended with exit code {code}; its log ends:\n{_tail(log)}")


def _first_line(stream: IO[bytes], deadline: float) -> str:
    read = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not read.endswith(b"\n") and selector.select(max(0.0, deadline - time.monotonic())):
            byte = os.read(stream.fileno(), 1)  # one by one: what follows the line is not ours to read
            if not byte:
                break
            read += byte
    return read.decode(errors="replace").strip()


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"
