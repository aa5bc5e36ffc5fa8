"""Which partitions are this process's: their rows recovered before anything of them is handled, and let go of
before anybody else handles them.

Guarantees: recovery runs beside the group's heartbeats and is broken off by a rebalance; a partition is read
as soon as its own rows are there; at a revocation what was handled is committed before the new owner reads.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import structlog

from streams.engine import Engine
from streams.outputs import Outputs
from streams.store.errors import RecoveryInterrupted
from streams.table import Loaded, Table

log = structlog.get_logger(__name__)


class Assignment:
    """Connects itself to the engine's rebalances.

    `on_ready` is called each time all assigned partitions are recovered, `on_failure` with what makes it
    impossible to go on.
    """

    def __init__(
        self,
        engine: Engine,
        outputs: Outputs,
        tables: Sequence[Table[Any]],
        on_ready: Callable[[], None],
        on_failure: Callable[[BaseException], Any],
    ) -> None:
        self._engine = engine
        self._outputs = outputs
        self._tables = tables
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._round = 0
        self._recovery: asyncio.Task[None] | None = None
        self.recovering = False
        engine.on_partitions_assigned.connect(self._assigned)
        engine.on_partitions_revoked.connect(self._revoked)

    async def _assigned(self, engine: Engine, assigned: set[Any], **_: Any) -> None:
        # Not awaited: the group sends no heartbeats before this returns.
        self._round += 1
        partitions = sorted({tp.partition for tp in assigned})
        self.recovering = True
        self._recovery = asyncio.create_task(self._recover(partitions, self._round, self._recovery))

    async def _revoked(self, engine: Engine, revoked: set[Any], **_: Any) -> None:
        self._round += 1
        self._engine.ready.clear()
        try:
            await self._outputs.flush()
        except Exception as fatal:
            await self._on_failure(fatal)
        for table in self._tables:
            for partition in table.owned():
                table.drop(partition)

    async def _recover(self, partitions: list[int], of: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before  # broken off: it ends within a poll
        started = time.monotonic()
        read = 0
        try:
            with ExitStack() as stack:
                sources = await asyncio.to_thread(
                    lambda: [stack.enter_context(table.recovery()) for table in self._tables]
                )
                for partition in partitions:
                    for table, source in zip(self._tables, sources, strict=True):
                        loaded: Loaded = await asyncio.to_thread(
                            table.load, source, partition, lambda: self._round != of
                        )
                        if self._round != of:
                            return
                        table.adopt(loaded)
                        read += loaded.read
                    self._engine.ready.add(partition)
                for table, source in zip(self._tables, sources, strict=True):
                    await asyncio.to_thread(table.tidy, source)
        except RecoveryInterrupted:
            return
        except Exception as fatal:
            await self._on_failure(fatal)
            return
        self.recovering = False
        log.info(
            "recovered",
            partitions=len(partitions),
            rows=sum(table.rows for table in self._tables),
            records=read,
            seconds=round(time.monotonic() - started, 2),
        )
        self._on_ready()
