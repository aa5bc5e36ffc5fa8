"""How long a table takes to come back from its changelog, and what it takes in memory.

The changelog holds one row of a delivered message for each key, as the worker writes them. Recovery runs in a
process of its own, `python -m bench.streams.recovery …`, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import psutil
from confluent_kafka import Producer

from bench.streams.events import STATUSES, requests
from schemas.clients import Kafka
from schemas.identity import notification_id
from schemas.records import AdmissionVerdict, Origin, ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import Channel, Verdict
from streams.delivery import DeliveryPolicy, decide
from streams.delivery.row import NotificationRow
from streams.intake import IntakePolicy, normalise
from streams.store.database import Database
from streams.store.rows import RowCodec
from streams.table import Table

_T0 = 1_790_000_000_000
_CODEC = RowCodec(NotificationRow, lambda row: row.due_at)
_PARTITIONS = 4


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """`restart_s` is a start on its own disk with nothing new in the changelog."""

    rows: int
    timers: int
    row_bytes: int
    seconds: float
    restart_s: float
    seconds_per_million: float
    rss_mb_per_million: float
    disk_mb: float


def measured_recovery(kafka: Kafka, directory: Path, rows: int) -> Recovered:
    """Fills the changelog with so many rows more, while nobody uses it."""
    row_bytes = _fill(kafka, rows)
    runs = []
    for _ in range(2):
        command = [sys.executable, "-m", "bench.streams.recovery", kafka.bootstrap_servers, str(directory)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900)
        runs.append(msgspec.json.decode(done.stdout, type=Recovered))
    first, second = runs
    return msgspec.structs.replace(first, row_bytes=row_bytes, restart_s=second.seconds)


def _fill(kafka: Kafka, rows: int) -> int:
    """Returns the bytes of one row."""
    sample = _row(0)
    value = _CODEC.encode(sample)
    producer = Producer(kafka.producer("bench", linger_ms=50) | {"log_level": 0})
    for number in range(rows):
        key = notification_id("recovery", str(number)).encode()
        # A third waits for a deadline, each for one of its own.
        due = value[:1] + ((number % 3 == 0 and _T0 + number) or 0).to_bytes(8, "big") + value[9:]
        while True:
            try:
                producer.produce(Topic.NOTIFICATIONS_CHANGELOG, due, key, partition=number % _PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(120):
        raise SystemExit("the broker did not take the rows in 120 s")
    producer.close()
    return len(value)


def _row(number: int) -> NotificationRow:
    """Of a message that was delivered."""
    _, asked = next(iter(requests(1)))
    origin = Origin(topic=Topic.NOTIFY_REQUESTED, partition=0, offset=number)
    request = normalise(asked, origin, _T0, IntakePolicy(default_region="US"))
    known = request.notification_id
    policy = DeliveryPolicy(default_sender="+14155550100")
    row = decide(None, request, _T0, policy).row
    verdict = AdmissionVerdict(notification_id=known, attempt=1, verdict=Verdict.ADMIT, decided_at=_T0)
    row = decide(row, verdict, _T0, policy).row
    for at, status in enumerate(STATUSES):
        report = ProviderStatus(
            event_id=status,
            provider="twilio",
            account_sid="AC" + "0" * 32,
            message_sid="SM" + "0" * 32,
            notification_id=known,
            attempt=1,
            status=status,
            channel=Channel.SMS,
            received_at=_T0 + at,
            source="callback",
        )
        row = decide(row, report, _T0 + at, policy).row
    if row is None:
        raise SystemExit("a delivered message has no row: is the retention policy shorter than the bench?")
    return row


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("directory", type=Path)
    chosen = parser.parse_args()
    process = psutil.Process()
    before = process.memory_info().rss
    with closing(Database(chosen.directory)) as database:
        kafka = Kafka(bootstrap_servers=chosen.bootstrap)
        table = Table(kafka, Topic.NOTIFICATIONS_CHANGELOG, _CODEC, database, 1)
        began = time.monotonic()
        with table.recovery() as source:
            for partition in range(_PARTITIONS):
                table.adopt(table.load(source, partition))
        seconds = time.monotonic() - began
        rss_mb = (process.memory_info().rss - before) / 2**20
        millions = table.rows / 1e6
        result = Recovered(
            rows=table.rows,
            timers=table.timers,
            row_bytes=0,
            seconds=round(seconds, 2),
            restart_s=0.0,
            seconds_per_million=round(seconds / millions, 2),
            rss_mb_per_million=round(rss_mb / millions, 1),
            disk_mb=0.0,
        )
    disk = sum(each.stat().st_size for each in chosen.directory.rglob("*") if each.is_file())
    result = msgspec.structs.replace(result, disk_mb=round(disk / 2**20, 1))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
