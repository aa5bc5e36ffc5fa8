"""`notifystream` with an ingress that fails where a test asks for it, in the worst way: telling all it knows.

`python -m tests.ingress.defective ingress`: a parameter `Defect` says where: `form`, `record`, `encoding`;
/readyz always fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ingress.encoding
import ingress.events
import ingress.form
import ingress.readiness
from notifystream.cli import main


def failing(place: str, works: Callable[..., Any]) -> Callable[..., Any]:
    """As it works, unless what it is called with asks for the defect."""

    def called(*given: Any) -> Any:
        if f"Defect={place}" in repr(given) or f"'Defect': '{place}'" in repr(given):
            try:
                raise ValueError(f"the cause: {given!r}")
            except ValueError as cause:
                raise RuntimeError(f"cannot take {given!r}") from cause
        return works(*given)

    return called


async def check(self: object) -> object:
    raise RuntimeError("of +15005550142, who said sesame-opens-at-midnight")


# Before the modules that import them by name.
ingress.form.parse_form = failing("form", ingress.form.parse_form)
ingress.events.status_callback = failing("record", ingress.events.status_callback)
ingress.encoding.Encoder.encode = failing("encoding", ingress.encoding.Encoder.encode)  # type: ignore[method-assign]
ingress.readiness.ReadinessCheck.check = check  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    sys.exit(main())
