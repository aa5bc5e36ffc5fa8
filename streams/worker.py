"""One stream-processing process: the three processors as Faust agents, their recovery, their timers.

Thin: it carries records from Faust to the processors and makes sure that nothing is handled before its
partition's rows are there, and nothing after the partition was taken away.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import faust
import structlog

from schemas.codec import Codec
from schemas.topics import Topic
from streams.config import APP_ID, StreamsConfig
from streams.delivery.row import NotificationRow
from streams.ending import end_within
from streams.engine import Engine, create_engine
from streams.outputs import Outputs
from streams.processors import Delivery, Incoming, Intake, Processor, Recipients, Writer
from streams.state import RecipientRow
from streams.table import Table
from streams.timers import Timers

log = structlog.get_logger(__name__)

_COMMIT_PAUSE_S = 0.01
_TIMER_PAUSE_S = 0.1
_SHUTDOWN_S = 20.0
_BACKLOG = 20_000


class Worker:
    def __init__(self, config: StreamsConfig, on_ready: Callable[[str], None]) -> None:
        codec = Codec(config.schema_registry_url)
        kafka = config.kafka
        self._on_ready = on_ready
        self._outputs = Outputs(kafka, f"{APP_ID}-{config.instance}")
        writer = Writer(codec, self._outputs)
        self._intake = Intake(writer, config.intake)
        self._delivery = Delivery(
            writer,
            Table(kafka, Topic.NOTIFICATIONS_CHANGELOG, NotificationRow, codec),
            Timers(),
            config.delivery,
        )
        self._recipients = Recipients(writer, Table(kafka, Topic.RECIPIENTS_CHANGELOG, RecipientRow, codec))
        self._keepers = (self._delivery, self._recipients)
        self._assignment: frozenset[int] = frozenset()
        self._settled = asyncio.Condition()  # notified when the assignment's rows are there
        self.engine = create_engine(
            APP_ID,
            f"{APP_ID}-{config.instance}",
            kafka,
            self._outputs,
            config.datadir,
            config.session_timeout_s,
        )
        for processor in (self._intake, *self._keepers):
            self._add_agent(processor)
        self.engine.on_partitions_assigned.connect(self._assigned)
        self.engine.on_partitions_revoked.connect(self._revoked)
        self.engine.task(self._commit_often)
        self.engine.task(self._fire_timers)

    async def start(self) -> None:
        """Close what a predecessor of the same name left open. Raises OutputsFailed."""
        await self._outputs.start()

    def _add_agent(self, processor: Processor) -> None:
        topic = self.engine.topic(
            *processor.inputs, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )

        async def carry(stream: Any) -> AsyncIterator[None]:
            async for event in stream.events():
                await self._carry(processor, event.message)
                yield

        self.engine.agent(topic, name=processor.stage, sink=[])(carry)

    async def _carry(self, processor: Processor, message: Any) -> None:
        try:
            if isinstance(processor, Delivery | Recipients) and not await self._is_ours(
                processor, message.partition
            ):
                return  # taken away meanwhile: its new owner reads it again
            processor.handle(
                Incoming(
                    topic=message.topic,
                    partition=message.partition,
                    offset=message.offset,
                    key=message.key or b"",
                    value=message.value,
                    at=int(message.timestamp * 1000),
                )
            )
            while self._outputs.backlog > _BACKLOG:
                await self._outputs.flush()
        except Exception as fatal:
            await self._give_up(fatal)

    async def _is_ours(self, keeper: Delivery | Recipients, partition: int) -> bool:
        """Whether the partition's rows are here, waiting for a rebalance under way."""
        if partition in keeper.table.owned():
            return True
        async with self._settled:
            await self._settled.wait_for(lambda: self._assignment)
        return partition in keeper.table.owned()

    async def _give_up(self, fatal: BaseException) -> None:
        """End the process; the event stays unacknowledged, so it is read again by whoever comes next."""
        self._outputs.fail(fatal)
        await self.engine.crash(fatal)
        await asyncio.Event().wait()

    async def _assigned(self, engine: Engine, assigned: set[Any], **_: Any) -> None:
        wanted = frozenset(tp.partition for tp in assigned)
        started = time.monotonic()
        rows = 0
        try:
            for partition in sorted(wanted - self._delivery.table.owned()):
                rows += await self._recover(self._recipients, partition)
                rows += await self._recover(self._delivery, partition)
        except Exception as fatal:
            await self._give_up(fatal)
        async with self._settled:
            self._assignment = wanted
            self._settled.notify_all()
        log.info("recovered", partitions=len(wanted), rows=rows, seconds=round(time.monotonic() - started, 2))
        self._on_ready(APP_ID)

    async def _recover(self, keeper: Delivery | Recipients, partition: int) -> int:
        rows: dict[bytes, Any] = await asyncio.to_thread(keeper.table.load, partition)
        keeper.adopt(partition, rows)
        return len(rows)

    async def _revoked(self, engine: Engine, revoked: set[Any], **_: Any) -> None:
        """Let go: nothing of these partitions is handled any more, and what was is committed before the new
        owner reads their rows. What comes back is recovered afresh."""
        self._assignment = frozenset()
        for partition in {tp.partition for tp in revoked}:
            for keeper in self._keepers:
                keeper.drop(partition)
        try:
            await self._outputs.flush()
        except Exception as fatal:
            await self._give_up(fatal)

    async def _commit_often(self) -> None:
        """Make outputs visible at once instead of at Faust's next offset commit."""
        try:
            while not self.engine.should_stop:
                await asyncio.sleep(_COMMIT_PAUSE_S)
                if self._outputs.dirty:
                    await self._outputs.flush()
        except Exception as fatal:
            await self._give_up(fatal)

    async def _fire_timers(self) -> None:
        try:
            while not self.engine.should_stop:
                self._delivery.fire(int(time.time() * 1000))
                await asyncio.sleep(_TIMER_PAUSE_S)
        except Exception as fatal:
            await self._give_up(fatal)


def run(config: StreamsConfig, on_ready: Callable[[str], None]) -> None:
    """Process until SIGTERM or SIGINT; raises SystemExit(1) when it had to give up.

    `on_ready` is called with the app's name each time the assigned partitions' rows are recovered.
    """
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Worker(config, on_ready)
    loop.run_until_complete(worker.start())
    end_within(_SHUTDOWN_S, lambda: worker.engine.should_stop)
    runner = faust.Worker(
        worker.engine,
        loop=loop,
        loglevel="WARN",
        redirect_stdouts=False,
        quiet=True,
        stdout=sys.stderr,  # Faust's spinner writes cursor codes, and stdout is read by programs
    )
    runner.execute_from_commandline()
