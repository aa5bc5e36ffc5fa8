"""Waiting for a condition on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TRIES, _PAUSE_S = 2_000, 0.002


async def eventually(true: Callable[[], object]) -> None:
    """Return once it is true; AssertionError when it does not become so in some seconds."""
    for _ in range(_TRIES):
        if true():
            return
        await asyncio.sleep(_PAUSE_S)
    raise AssertionError("it did not become true")
