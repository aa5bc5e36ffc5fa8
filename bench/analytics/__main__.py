"""`python -m bench.analytics`: rows a second from Avro on Kafka into the tables, against inserting alone.

On a real Kafka and the sandbox's ClickHouse on the same machine: whole notifications are written to the
topics; the sink lands them in a process of its own; then another process makes the same rows first and only
inserts them, in an empty database. Rates depend on what else the machine does, the ratio less so. Then the
reports are timed over generated rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console

from bench.analytics.child import Measured
from bench.analytics.records import write
from bench.analytics.reports import Reports, measured
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.topics import Topic
from sinks.analytics.rows import LANDINGS
from tests.kafka.broker import KafkaBroker
from tests.servers import running

PARTITIONS = 4


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written with --json. Rates in rows/s, medians of the repetitions; `ratio` of the medians."""

    rows_per_s: float
    insert_only_rows_per_s: float
    ratio: float
    rss_mb: float
    """Of the sink, at most."""
    report_s: dict[str, float]
    reports: Reports | None
    """What the reports were asked of, and the memory of ClickHouse then."""
    records: int
    sink: list[Measured]
    insert: list[Measured]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.analytics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m bench.analytics --json analytics.json",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--notifications",
        type=int,
        default=100_000,
        help="of seven records, eleven rows (default: %(default)s)",
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="measurements of each kind (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-rows", type=int, default=50_000, help="as the setting (default: %(default)s)"
    )
    parser.add_argument("--statuses-only", action="store_true", help="write no other records")
    parser.add_argument(
        "--report-rows", type=int, default=50_000_000, help="for the reports; 0: none (default: %(default)s)"
    )
    chosen = parser.parse_args()
    console = Console(stderr=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        result = _measured(console, stack, directory, chosen)
    Console().print(
        f"{result.rows_per_s:,.0f} rows/s from Kafka, {result.insert_only_rows_per_s:,.0f} rows/s inserted "
        f"alone: {result.ratio:.2f}; {result.rss_mb:.0f} MB"
    )
    if result.reports is not None:
        slowest = max(result.report_s, key=result.report_s.__getitem__)
        Console().print(
            f"{len(result.report_s)} reports over {result.reports.rows:,} statuses, the slowest ({slowest}) "
            f"in {result.report_s[slowest]:.2f} s; ClickHouse then has {result.reports.rss_mb:.0f} MB"
        )
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return 0


def _measured(console: Console, stack: ExitStack, directory: Path, chosen: argparse.Namespace) -> Result:
    broker = stack.enter_context(KafkaBroker(directory / "kafka"))
    kafka = Kafka(bootstrap_servers=broker.bootstrap)
    admin = AdminClient(kafka.client("bench"))
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in LANDINGS]).values():
        made.result(30)
    registry = stack.enter_context(running("sandbox.registry", log=directory / "registry")).address
    codec = Codec(registry)
    stack.callback(codec.close)
    console.print(f"{chosen.notifications:,} notifications are written to Kafka")
    records = write(kafka, codec, chosen.notifications, Topic.STATUS if chosen.statuses_only else None)
    sink: list[Measured] = []
    inserted: list[Measured] = []
    for number in range(chosen.repeat):
        for kind, figures in (("sink", sink), ("insert", inserted)):
            data = directory / f"{kind}{number}"
            with running(
                "sandbox.clickhouse", "--data", str(data), "--port", "0", log=directory / "clickhouse"
            ) as server:
                options = ["--kind", kind, "--bootstrap", broker.bootstrap, "--registry", registry]
                options += ["--clickhouse", server.address, "--group", f"bench-{number}"]
                options += ["--records", str(records), "--batch-rows", str(chosen.batch_rows)]
                figures.append(_child(directory, options))
            console.print(f"{kind} {number + 1} of {chosen.repeat}: {figures[-1].rows_per_s:,.0f} rows/s")
    reports = _reports(console, chosen.report_rows)
    rate, alone = median(m.rows_per_s for m in sink), median(m.rows_per_s for m in inserted)
    return Result(
        rows_per_s=rate,
        insert_only_rows_per_s=alone,
        ratio=round(rate / alone, 3),
        rss_mb=max(m.rss_mb for m in sink),
        report_s={} if reports is None else reports.report_s,
        reports=reports,
        records=records,
        sink=sink,
        insert=inserted,
    )


def _child(directory: Path, options: list[str]) -> Measured:
    out, log = directory / "figures.json", directory / "child.log"
    out.unlink(missing_ok=True)
    with open(log, "wb") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "bench.analytics.child", *options, "--out", str(out)],
            stderr=stderr,
            timeout=600,
        )
    if not out.exists():
        raise SystemExit(f"the child ended with {done.returncode} and no figures:\n{log.read_text()[-2000:]}")
    return msgspec.json.decode(out.read_bytes(), type=Measured)


def _reports(console: Console, rows: int) -> Reports | None:
    if not rows:
        return None
    console.print(f"reports over {rows:,} statuses")
    return measured(rows, console.print)


if __name__ == "__main__":
    sys.exit(main())
