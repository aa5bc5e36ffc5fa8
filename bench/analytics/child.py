"""One measurement as a process of its own: `python -m bench.analytics.child --kind sink|insert …`.

`sink`: the sink as it runs in production, from its assignment to the last row that lands. `insert`: the same
records read and made into blocks first, and only then, without Kafka, inserted block by block.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from sinks.analytics import metrics
from sinks.analytics.clickhouse import connect, insert_block
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.frames import arrow_stream, insert_statement
from sinks.analytics.landing import Preparer
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.ranges import Range
from sinks.analytics.rows import LANDINGS
from sinks.analytics.sink import run
from sinks.analytics.tables import TABLES

KEY = bytes(range(32))
RANGE = 25_000
_LOOK_S = 0.02


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu_us_per_row` is this process's; `rss_mb` its highest; `made_per_s` the making of blocks alone."""

    rows: int
    rows_per_s: float
    seconds: float
    rss_mb: float
    cpu_us_per_row: float
    made_rows_per_s: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["sink", "insert"], required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--clickhouse", required=True)
    parser.add_argument("--group", default="notifystream-analytics")
    parser.add_argument("--batch-rows", type=int, default=50_000)
    parser.add_argument("--records", type=int, required=True, help="in the topics")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    measured = _sink(chosen) if chosen.kind == "sink" else _insert(chosen)
    chosen.out.write_bytes(msgspec.json.encode(measured))
    return 0


def _sink(chosen: argparse.Namespace) -> Measured:
    config = AnalyticsConfig(
        kafka=Kafka(bootstrap_servers=chosen.bootstrap),
        schema_registry_url=chosen.registry,
        clickhouse_url=chosen.clickhouse,
        pii_hash_key=KEY,
        batch_rows=chosen.batch_rows,
        group=chosen.group,
    )
    stop, assigned = threading.Event(), threading.Event()
    sink = threading.Thread(target=run, args=(config, lambda _: assigned.set(), stop))
    sink.start()
    assigned.wait(60)
    process = psutil.Process()
    began, used, highest = time.monotonic(), sum(process.cpu_times()[:2]), 0
    last = (0, began)
    # No row for this long after the first: that was the last one.
    while sink.is_alive() and (not last[0] or time.monotonic() - last[1] < 3.0):
        time.sleep(_LOOK_S)
        landed = _landed()
        highest = max(highest, process.memory_info().rss)
        if landed > last[0]:
            last = (landed, time.monotonic())
            spent = sum(process.cpu_times()[:2]) - used
    stop.set()
    sink.join()
    seconds = last[1] - began
    return Measured(
        rows=last[0],
        rows_per_s=round(last[0] / seconds, 1),
        seconds=round(seconds, 2),
        rss_mb=round(highest / 2**20, 1),
        cpu_us_per_row=round(spent / last[0] * 1e6, 2),
    )


def _landed() -> int:
    return int(sum(metrics.ROWS_LANDED.labels(table)._value.get() for table in TABLES.values()))


def _insert(chosen: argparse.Namespace) -> Measured:
    codec = Codec(chosen.registry)
    preparer = Preparer(codec, Privacy(KEY))
    ranges = _ranges(Kafka(bootstrap_servers=chosen.bootstrap), chosen.records)
    began = time.monotonic()
    prepared = [preparer.prepare(source) for source in ranges]
    made_s = time.monotonic() - began
    blocks = [
        (insert_statement(block.row_type), arrow_stream(block.frame), block.token)
        for each in prepared
        for block in each.blocks
    ]
    rows = sum(block.frame.height for each in prepared for block in each.blocks)
    migrate(chosen.clickhouse)
    client = connect(chosen.clickhouse)
    process = psutil.Process()
    used, began = sum(process.cpu_times()[:2]), time.monotonic()
    for block in blocks:
        insert_block(client, *block)
    seconds = time.monotonic() - began
    client.close()
    codec.close()
    return Measured(
        rows=rows,
        rows_per_s=round(rows / seconds, 1),
        seconds=round(seconds, 2),
        rss_mb=round(process.memory_info().rss / 2**20, 1),
        cpu_us_per_row=round((sum(process.cpu_times()[:2]) - used) / rows * 1e6, 2),
        made_rows_per_s=round(rows / made_s, 1),
    )


def _ranges(kafka: Kafka, records: int) -> list[Range]:
    consumer = Consumer(kafka.consumer("bench", "bench-insert"))
    listed = consumer.list_topics(timeout=10).topics
    consumer.assign(
        [TopicPartition(topic, number, 0) for topic in LANDINGS for number in listed[topic].partitions]
    )
    open_: dict[tuple[str, int], Range] = {}
    done: list[Range] = []
    read = 0
    while read < records:
        for message in consumer.consume(10_000, 1.0):
            of = (str(message.topic()), int(message.partition() or 0))
            source = open_.setdefault(of, Range(*of))
            source.add(int(message.offset() or 0), message.key(), message.value())
            read += 1
            if len(source) >= RANGE:
                done.append(open_.pop(of))
    consumer.close()
    return done + list(open_.values())


if __name__ == "__main__":
    sys.exit(main())
