"""On a disk that is really full nothing that was confirmed is lost, and draining makes room again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ["unshare", "--user", "--map-root-user", "--mount"]


def test_a_full_disk_loses_nothing_and_takes_entries_again_when_it_was_drained(tmp_path: Path) -> None:
    allowed = subprocess.run([*ALONE, "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True)
    if allowed.returncode != 0:
        pytest.skip(f"no disk of one's own to fill here: {allowed.stderr.decode().strip()}")
    filled = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.ingress.journal.filling", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert filled.returncode == 0, filled.stderr
    assert filled.stdout.splitlines()[-1] == "done"
