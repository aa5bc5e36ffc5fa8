"""One worker of the bench as a process: ours, or a stock Faust app whose agent does nothing.

`python -m bench.streams.child --kind ours|noop …` reads until the topics' ends are handled and committed, and
writes what it measured to `--out`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import faust
import msgspec
import psutil
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from bench.ingress.processor import Spent, spent_by
from bench.streams.sampling import Sample, Sampler, Share
from schemas.clients import Kafka
from streams.batches import BATCH
from streams.config import StreamsConfig
from streams.delivery import DeliveryPolicy
from streams.engine import Engine
from streams.intake import IntakePolicy
from streams.worker import Worker
from tests.waiting import wait_until

_POLL_S = 0.05
_QUIET_S = 2.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """`events_per_s` from the first event handled to the last; `recovered_s` from the assignment on, 0 for a
    stock Faust app; `rss_mb` at the end; `cpu_s` of the whole process while events were handled."""

    events: int
    events_per_s: float
    recovered_s: float
    recovered_rows: int
    rss_mb: float
    cpu_us_per_event: float
    threads: list[Spent]
    profile: list[Share]
    samples: list[Sample]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["ours", "noop"], required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--topic", action="append", required=True, help="the work ends when these are read")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    kafka = Kafka(bootstrap_servers=chosen.bootstrap)
    make = ours if chosen.kind == "ours" else noop
    app, position, started = make(kafka, chosen, loop)
    goal = Goal(kafka, app, chosen.topic, position)
    sampler = Sampler(goal.handled)
    threading.Thread(target=finish, args=(goal, sampler, started, chosen.out), daemon=True).start()
    faust.Worker(
        app, loop=loop, loglevel="WARN", redirect_stdouts=False, quiet=True, stdout=sys.stderr
    ).execute_from_commandline()
    return 0


Position = Callable[[Any], int | None]


class Started:
    """When the rows were there, and how many."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.recovered_s = 0.0
        self.rows = 0


def ours(
    kafka: Kafka, chosen: argparse.Namespace, loop: asyncio.AbstractEventLoop
) -> tuple[Any, Position, Started]:
    started = Started()
    config = StreamsConfig(
        kafka=kafka,
        schema_registry_url=chosen.registry,
        delivery=DeliveryPolicy(default_sender="+14155550100"),
        intake=IntakePolicy(default_region="US"),
        datadir=str(chosen.datadir),
    )

    def ready(_: str) -> None:
        started.recovered_s = time.monotonic() - started.began
        started.rows = sum(table.rows for table in worker._tables)

    worker = Worker(config, ready)
    loop.run_until_complete(worker.start())
    worker.engine.on_partitions_assigned.connect(began(started), weak=False)
    return worker.engine, lambda tp: worker.engine.consumer.positions.get(tp), started


def began(started: Started) -> Any:
    async def assigned(*_: Any, **__: Any) -> None:
        started.began = time.monotonic()

    return assigned


def noop(
    kafka: Kafka, chosen: argparse.Namespace, loop: asyncio.AbstractEventLoop
) -> tuple[Any, Position, Started]:
    app = faust.App(
        f"noop-{os.getpid()}",
        broker=f"kafka://{kafka.bootstrap_servers}",
        datadir=str(chosen.datadir),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        broker_check_crcs=False,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic(
        *chosen.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    async def nothing(stream: Any) -> AsyncIterator[None]:
        async for _ in stream.events():
            yield

    app.agent(topic, name="nothing", sink=[])(nothing)

    def position(tp: Any) -> int | None:
        read = app.consumer._read_offset.get(tp)
        return None if read is None else int(read) + 1

    return app, position, Started()


class Goal:
    """The ends of the topics as they were at the start, less where the group stood."""

    def __init__(self, kafka: Kafka, app: Any, topics: list[str], position: Position) -> None:
        self._app = app
        self._position = position
        self._last: tuple[float, dict[Any, int]] = (time.monotonic(), {})
        config = kafka.consumer("bench", app.conf.id)
        consumer = Consumer(config)
        listed = consumer.list_topics(timeout=10).topics
        places = [TopicPartition(topic, number) for topic in topics for number in listed[topic].partitions]
        self.ends = {
            (place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=10)[1]
            for place in places
        }
        committed = wait_until(lambda: _committed(consumer, places), 30, "the group's coordinator") or []
        self.starts = {(place.topic, place.partition): max(place.offset, 0) for place in committed}
        consumer.close()
        self.events = sum(self.ends.values()) - sum(self.starts.values())

    def handled(self) -> int:
        if self._app._consumer is None:
            return 0
        done = 0
        for place, start in self.starts.items():
            done += max(0, (self._position(TP(*place)) or start) - start)
        return done

    def quiet(self) -> bool:
        """Nothing that the work caused is left to do either: no position has moved for a while."""
        if not isinstance(self._app, Engine):
            return True
        positions = dict(self._app.consumer.positions)
        if positions != self._last[1]:
            self._last = (time.monotonic(), positions)
        return time.monotonic() - self._last[0] > _QUIET_S

    def committed(self) -> bool:
        committed = self._app.consumer._committed_offset
        return all(
            (committed.get(TP(*place)) or 0) >= end or end == self.starts[place]
            for place, end in self.ends.items()
        )


def _committed(consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition] | None:
    """None while the broker is still making up its mind who coordinates the group."""
    try:
        return consumer.committed(places, timeout=10)
    except KafkaException as not_yet:
        if not_yet.args[0].code() != KafkaError.NOT_COORDINATOR:
            raise
        return None


def finish(goal: Goal, sampler: Sampler, started: Started, out: Path) -> None:
    process = psutil.Process()
    sampler._watched = threading.main_thread().ident or 0
    sampler.start()
    while goal.handled() == 0:
        time.sleep(_POLL_S)
    began, used = goal.handled(), sum(process.cpu_times()[:2])
    with spent_by(process.pid) as spent:
        while goal.handled() < goal.events:
            time.sleep(_POLL_S)
    used = sum(process.cpu_times()[:2]) - used
    done = goal.events - began
    sampler.stop()
    while not (goal.quiet() and goal.committed()):
        time.sleep(_POLL_S)
    last = sampler.samples[-1]
    rate = next(
        (
            (last.handled - each.handled) / (last.at - each.at)
            for each in sampler.samples
            if each.handled >= BATCH
        ),
        0.0,
    )
    measured = Measured(
        events=goal.events,
        events_per_s=round(rate, 1),
        recovered_s=round(started.recovered_s, 3),
        recovered_rows=started.rows,
        rss_mb=round(process.memory_info().rss / 2**20, 1),
        cpu_us_per_event=round(used / done * 1e6, 1),
        threads=spent.per_request(done),
        profile=sampler.shares(),
        samples=sampler.samples[:: max(1, len(sampler.samples) // 50)],
    )
    out.write_bytes(msgspec.json.encode(measured))
    process.terminate()


if __name__ == "__main__":
    sys.exit(main())
