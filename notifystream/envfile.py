"""The env file by which every command finds a running sandbox.

Guarantees: written whole, readable by its owner only; one left behind by a sandbox that ended without
cleaning up is recognised by the process id in it and never used. Leaves to `console` which settings it fills.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ENV_FILE = ".notifystream/sandbox.env"
NAMED_BY = "NOTIFYSTREAM_ENV_FILE"
_PID = "NOTIFYSTREAM_SANDBOX_PID"


@dataclass(frozen=True, slots=True)
class Found:
    """An env file that exists; `alive`: whoever wrote it still runs (always so, when no pid is in it)."""

    path: Path
    alive: bool


class EnvFileMissing(Exception):
    """NOTIFYSTREAM_ENV_FILE names a file that is not there."""


def find(environment: Mapping[str, str], folder: Path) -> Found | None:
    """The env file NOTIFYSTREAM_ENV_FILE names, else the nearest default one in `folder` or above it.

    NOTIFYSTREAM_ENV_FILE set to nothing means: none at all.
    Raises EnvFileMissing when one is named and not there.
    """
    named = environment.get(NAMED_BY)
    if named == "":
        return None
    if named is not None:
        path = Path(named)
        if not path.is_file():
            raise EnvFileMissing(f"{NAMED_BY} names {named}, which is not there; unset it or correct it")
        return Found(path, _alive(path))
    for parent in (folder, *folder.parents):
        path = parent / DEFAULT_ENV_FILE
        if path.is_file():
            return Found(path, _alive(path))
    return None


def write(path: Path, values: Mapping[str, str], pid: int) -> None:
    """Replace the file at once, mode 600, with `values` and the process that answers for them."""
    lines = [
        "# Written by notifystream; gone when the sandbox ends. Values are quoted for a shell: "
        "`set -a; . FILE; set +a`",
        f"{_PID}={pid}",
        *(f"{name}={_quoted(value)}" for name, value in sorted(values.items())),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{pid}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
    fresh.replace(path)


def _quoted(value: str) -> str:
    # dotenv and POSIX shells both read single quotes verbatim; none of our values holds one.
    if "'" in value or "\n" in value:
        raise ValueError(f"an env file value may not hold a quote or a line break: {value!r}")
    return f"'{value}'"


def _alive(path: Path) -> bool:
    for line in path.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == _PID:
            return value.isdigit() and _running(int(value))
    return True


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
