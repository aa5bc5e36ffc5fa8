"""`python -m tests.schemas.land`: take the schemas as they are now for what a release wrote.

Writes `schemas/landed/`, against which every later schema is checked. Refuses a schema that could not read
what the landed one wrote, so that running it never hides such a change; `--force` is for a record that was
never in use.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.schemas.compatibility import incompatibilities
from tests.schemas.contracts import LANDED, NAMES, SCHEMAS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schemas.land", description=__doc__)
    parser.add_argument("--force", action="store_true", help="land incompatible schemas too")
    options = parser.parse_args(arguments)
    wrong = {
        name: why
        for name in NAMES
        if (LANDED / f"{name}.avsc").exists()
        and (why := incompatibilities(_text(SCHEMAS, name), _text(LANDED, name)))
    }
    if wrong and not options.force:
        for name, why in wrong.items():
            print(f"{name}.avsc cannot read what was written before: {'; '.join(why)}", file=sys.stderr)
        return 1
    for gone in LANDED.glob("*.avsc"):
        gone.unlink()
    for name in NAMES:
        shutil.copyfile(SCHEMAS / f"{name}.avsc", LANDED / f"{name}.avsc")
    print(f"landed {len(NAMES)} schemas in {LANDED}")
    return 0


def _text(folder: Path, name: str) -> str:
    return (folder / f"{name}.avsc").read_text()


if __name__ == "__main__":
    sys.exit(main())
