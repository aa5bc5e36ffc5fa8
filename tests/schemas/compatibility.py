"""Whether one schema reads what another wrote, as Avro's specification resolves schemas.

Judged by the Apache implementation (`avro.compatibility`), not by the one the codec reads with.
"""

from __future__ import annotations

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType


def incompatibilities(reader: str, writer: str) -> list[str]:
    """Why `reader` (Avro JSON) could not read what `writer` wrote; empty when it can."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    # Both are sets: which message belongs to which place is not told.
    return [*sorted(result.messages), f"at {', '.join(sorted(result.locations))}"]
