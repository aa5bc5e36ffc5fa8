"""Processors with one promise broken, to see that the verdict notices: `--sabotage NAME`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from schemas.topics import Topic
from streams.batches import Batch
from streams.delivery import telling
from streams.engine import _Consumer, _Producer
from streams.processors import Writer

_RARELY = 0.02


def lost_effect() -> None:
    """Now and then a question or a lesson is not written."""
    write = Writer.write

    def forgetful(self: Writer, writes: tuple[Any, ...]) -> None:
        lost = {Topic.CHECKS, Topic.DELIVERY_EVIDENCE}
        write(self, tuple(w for w in writes if w.topic not in lost or random.random() > _RARELY))

    Writer.write = forgetful  # type: ignore[method-assign]


def offsets_first() -> None:
    """Offsets are committed when a batch is read, before anything that follows from it."""
    event = _Consumer._event

    def hasty(self: Any, batch: Batch) -> Any:
        self.positions[batch.tp] = max(self.positions.get(batch.tp, 0), batch.end)
        return event(self, batch)

    async def no_flush(self: Any) -> None:
        """Nothing is waited for."""

    setattr(_Consumer, "_event", hasty)  # noqa: B010 - mypy lets no method be assigned
    setattr(_Producer, "flush", no_flush)  # noqa: B010


def told_twice() -> None:
    """What was told is not remembered."""
    for flag in ("SETTLED", "OPTED_OUT", "CANCELED"):
        setattr(telling, flag, 0)


SABOTAGE: Mapping[str, Callable[[], None]] = {
    "lost-effect": lost_effect,
    "offsets-first": offsets_first,
    "told-twice": told_twice,
}
