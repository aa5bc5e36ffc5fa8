"""Every Avro file with the class that stands for it: what the tests of this folder go through one by one.

Guarantees: a file without a class, or a class without a file, is an error when this module is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from schemas import records

SCHEMAS = Path(__file__).resolve().parent.parent.parent / "schemas"
EXAMPLES = SCHEMAS / "examples"
LANDED = SCHEMAS / "landed"


def avro(name: str) -> dict[str, Any]:
    """The Avro file as it stands in `schemas/`."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.avsc").read_text())
    return schema


def _classes() -> dict[str, type[msgspec.Struct]]:
    """Class by file: found by the record's own name, so that a renamed file is noticed."""
    found: dict[str, type[msgspec.Struct]] = {}
    for path in sorted(SCHEMAS.glob("*.avsc")):
        record = json.loads(path.read_text())["name"]
        cls = getattr(records, record, None)
        if cls is None:
            raise LookupError(f"{path.name} describes {record}, for which schemas/records.py has no class")
        found[path.stem] = cls
    return found


CLASSES = _classes()
NAMES = tuple(CLASSES)
