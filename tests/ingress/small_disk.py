"""An ingress whose journal has a disk of its own, too small for an outage: a tmpfs that ends with it.

`python -m tests.ingress.small_disk --disk-kb N --journal DIR …`: becomes `tests.ingress.serve` with the other
options, in a mount namespace of its own, so that nobody else sees the disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ALONE = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"'


def why_not(directory: Path) -> str | None:
    """Why this machine lets nobody mount a disk over the directory; None when it does."""
    tried = subprocess.run(
        [*ALONE, "sh", "-c", MOUNT, "64k", directory, "true"], capture_output=True, text=True
    )
    return None if tried.returncode == 0 else tried.stderr.strip()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--disk-kb", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    options, rest = parser.parse_known_args()
    serve = [sys.executable, "-m", "tests.ingress.serve", "--journal", str(options.journal), *rest]
    alone = [*ALONE, "sh", "-c", MOUNT, f"{options.disk_kb}k", str(options.journal)]
    os.execvp(ALONE[0], [*alone, *serve])  # noqa: S606 # becomes it, so that a kill meets the ingress


if __name__ == "__main__":
    main()
