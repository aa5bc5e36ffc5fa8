"""Run the console command in this process, as a shell would, in a folder and an environment of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from notifystream import console
from notifystream.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    stdout: str
    stderr: str


def run(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Ran:
    """Exit code and output of `notifystream arguments…`; nothing of this process's environment is seen."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.dict("os.environ", {"PATH": "", **(env or {})}, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _consoles(out, err),
    ):
        code = main(list(arguments))
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _consoles(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    # rich asks for sys.stdout and sys.stderr at each print, but its width is the terminal's.
    with mock.patch.object(console.stdout, "_width", 200), mock.patch.object(console.stderr, "_width", 200):
        yield
