"""A disk too small for an outage, for the journal of one ingress: a tmpfs in a mount namespace of its own.

Guarantees: nobody else sees the disk; what is on it survives a kill -9 of the ingress, and it is gone with
the `with` block, also when this process is killed. Needs no privileges where user namespaces are allowed.

`python -m tests.ingress.small_disk --disk-of PID …` becomes `tests.ingress.serve`, with the other options, in
the namespace of that process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ALONE = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"'


def why_not(directory: Path) -> str | None:
    """Why this machine lets nobody mount a disk over the directory; None when it does."""
    tried = subprocess.run(
        [*ALONE, "sh", "-c", MOUNT, "64k", directory, "true"], capture_output=True, text=True
    )
    return None if tried.returncode == 0 else tried.stderr.strip()


@contextmanager
def small_disk(directory: Path, kilobytes: int) -> Iterator[int]:
    """Make the directory. The disk is over it in the namespace of the process whose id this yields."""
    directory.mkdir()
    holder = [*ALONE, "sh", "-c", MOUNT, f"{kilobytes}k", str(directory), "sh", "-c", "echo; exec cat"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", f"no disk could be mounted over {directory}"
        yield process.pid  # ends with its stdin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--disk-of", required=True)
    options, rest = parser.parse_known_args()
    inside = ("nsenter", "--user", "--preserve-credentials", "--mount", "--wd", "--target", options.disk_of)
    serve = [sys.executable, "-m", "tests.ingress.serve", *rest]
    os.execvp(inside[0], [*inside, *serve])  # noqa: S606 # becomes it, so that a kill meets the ingress


if __name__ == "__main__":
    main()
