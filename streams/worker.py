"""One stream-processing process: the three processors as Faust agents, their timers, their commits.

Thin: it carries records from Faust to the processors and makes sure that nothing of a partition is handled
that is not, or no longer, this process's (`assignment`).
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import faust
import structlog
from prometheus_client import REGISTRY

from schemas.codec import Codec
from schemas.topics import Topic
from streams.assignment import Assignment
from streams.batches import Batch
from streams.config import APP_ID, StreamsConfig
from streams.counts import Counts
from streams.delivery.row import NotificationRow
from streams.ending import end_within
from streams.engine import create_engine
from streams.metrics import Metrics
from streams.outputs import Outputs
from streams.probe import LOOK_EVERY_S, Liveness, served
from streams.processors import Delivery, Incoming, Intake, Processor, Recipients, Writer
from streams.state import RecipientRow
from streams.store.database import Database
from streams.store.rows import RowCodec
from streams.table import Table

log = structlog.get_logger(__name__)

_COMMIT_PAUSE_S = 0.005
_TIMER_PAUSE_S = 0.1
_SHUTDOWN_S = 20.0
_BACKLOG = 20_000
_NOTIFICATIONS, _RECIPIENTS = 1, 2  # the tables' numbers in the database: never to be changed


class Worker:
    """Raises StoreInUse when another process has the data directory."""

    def __init__(self, config: StreamsConfig, on_ready: Callable[[str], None]) -> None:
        codec = Codec(config.schema_registry_url)
        kafka = config.kafka
        self._outputs = Outputs(kafka, f"{APP_ID}-{config.instance}", lambda: self.engine.lease())
        self._database = Database(Path(config.datadir), config.store_cache_mb)
        notifications = Table(
            kafka,
            Topic.NOTIFICATIONS_CHANGELOG,
            RowCodec(NotificationRow, lambda row: row.due_at),
            self._database,
            _NOTIFICATIONS,
            config.hot_rows,
        )
        recipients = Table(
            kafka,
            Topic.RECIPIENTS_CHANGELOG,
            RowCodec(RecipientRow, lambda row: None),
            self._database,
            _RECIPIENTS,
            config.hot_rows,
        )
        self._tables = (notifications, recipients)
        self._counts = Counts()
        writer = Writer(codec, self._outputs, self._counts)
        self._delivery = Delivery(writer, notifications, config.delivery)
        self.engine = create_engine(
            APP_ID,
            f"{APP_ID}-{config.instance}",
            kafka,
            self._outputs,
            config.datadir,
            config.session_timeout_s,
        )
        self._add_agent(Intake(writer, config.intake))
        self._add_agent(self._delivery)
        self._add_agent(Recipients(writer, recipients, config.intake.policies))
        for table in self._tables:
            self._outputs.attach(table)
        self._assignment = Assignment(
            self.engine, self._outputs, self._tables, lambda: on_ready(APP_ID), self._give_up
        )
        self.engine.task(self._commit_often)
        self.engine.task(self._fire_timers)
        self.engine.task(self._look_at_progress)
        self.liveness = Liveness(time.monotonic())
        self.metrics = Metrics(
            self.engine,
            self._outputs,
            self._tables,
            self._counts,
            lambda: self._assignment.recovering,
            lambda: self.liveness.trouble(time.monotonic()) is not None,
        )

    async def start(self) -> None:
        """Close what a predecessor of the same name left open. Raises OutputsFailed."""
        await self._outputs.start()

    def _add_agent(self, processor: Processor) -> None:
        async def carry(stream: Any) -> AsyncIterator[None]:
            async for event in stream.events():
                await self._carry(processor, event.message.value)
                yield

        topics = self.engine.batches(*processor.inputs)
        self.engine.agent(topics, name=processor.stage, sink=[])(carry)

    async def _carry(self, processor: Processor, batch: Batch) -> None:
        try:
            if not self.engine.is_next(batch):
                return  # taken away meanwhile: its new owner reads it again
            handle = processor.handle
            topic, partition = batch.tp
            for record in batch.records:
                handle(
                    Incoming(
                        topic, partition, record.offset, record.key or b"", record.value, record.timestamp
                    )
                )
            self.engine.handled(batch)
            self._counts.events[topic] += len(batch.records)
            while self._outputs.backlog > _BACKLOG:
                await self._outputs.flush()
        except Exception as fatal:
            await self._give_up(fatal)

    async def _give_up(self, fatal: BaseException) -> None:
        """End the process; what was not committed is read again by whoever comes next."""
        self._outputs.fail(fatal)
        await self.engine.crash(fatal)
        await asyncio.Event().wait()

    async def _commit_often(self) -> None:
        """Make outputs visible at once instead of at Faust's next offset commit."""
        try:
            while not self.engine.should_stop:
                await asyncio.sleep(_COMMIT_PAUSE_S)
                if self._outputs.ripe:
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

    async def _look_at_progress(self) -> None:
        self.metrics.on_loop()
        while not self.engine.should_stop:
            outputs = self._outputs
            since = outputs.opened_at if outputs.dirty else None
            ready = self.engine.ready  # the others are being recovered, which has its own deadline
            progress = {tp: p for tp, p in self.engine.progress().items() if tp.partition in ready}
            self.liveness.look(time.monotonic(), progress, since)
            await asyncio.sleep(LOOK_EVERY_S)


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
    REGISTRY.register(worker.metrics)
    with served(worker.liveness, config.health_host, config.health_port):
        runner.execute_from_commandline()
