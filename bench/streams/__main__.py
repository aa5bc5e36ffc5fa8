"""`python -m bench.streams`: what a worker folds in a second, against a Faust agent that does nothing.

In one run, on a real Kafka on the same machine: notifications are requested and commanded by the worker
itself, so that every stage is in the rows; then four statuses of each message are read in turn by a stock
Faust app whose agent does nothing and by one worker with its state on the disk, each several times. Then a
table is recovered from the changelog alone. Rates depend on what else the machine does, ratios less so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console
from rich.table import Table

from bench.streams import events
from bench.streams.child import Measured
from bench.streams.recovery import Recovered, measured_recovery
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.topics import Topic
from tests.kafka.broker import KafkaBroker
from tests.servers import running

PARTITIONS = 4


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written with --json. Rates in events/s, medians of the repetitions; `ratio` of the medians.

    `requests_per_s`: notify requests through intake, admission and command, four events each.
    `cpu_ratio`: processor time an event costs the agent that does nothing, over what it costs the worker.
    """

    events_per_s: float
    noop_events_per_s: float
    ratio: float
    cpu_ratio: float
    requests_per_s: float
    recovery_s_per_million: float
    rss_mb_per_million: float
    statuses: int
    worker: list[Measured]
    noop: list[Measured]
    requests: Measured
    recovery: Recovered


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m bench.streams --json streams.json",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--messages", type=int, default=25_000, help="messages of four statuses each (default: %(default)s)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="measurements of each kind (default: %(default)s)"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to recover (default: %(default)s)")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    with ExitStack() as at_end:
        directory = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        result = _measured(console, directory, chosen.messages, chosen.repeat, chosen.rows)
    _show(result)
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return 0


class _Bench:
    """A broker, a registry, and children that work on them."""

    def __init__(self, directory: Path, bootstrap: str, registry: str) -> None:
        self._directory = directory
        self._options = ["--bootstrap", bootstrap, "--registry", registry]
        self._runs = 0
        self.data = directory / "data"

    def run(self, kind: str, topic: Topic) -> Measured:
        self._runs += 1
        out = self._directory / f"{self._runs}.json"
        log = self._directory / f"{self._runs}.log"
        datadir = self.data if kind == "ours" else self._directory / "noop"
        command = [sys.executable, "-m", "bench.streams.child", "--kind", kind, *self._options]
        command += ["--datadir", str(datadir), "--topic", topic, "--out", str(out)]
        with open(log, "wb") as stderr:
            done = subprocess.run(command, stderr=stderr, timeout=900)
        if not out.exists():
            raise SystemExit(
                f"{kind} ended with {done.returncode} and no figures:\n{log.read_text()[-2000:]}"
            )
        return msgspec.json.decode(out.read_bytes(), type=Measured)


def _measured(console: Console, directory: Path, messages: int, repeat: int, rows: int) -> Result:
    worker: list[Measured] = []
    noop: list[Measured] = []
    with (
        _kafka(directory) as bootstrap,
        running("sandbox.registry", log=directory / "registry") as registry,
    ):
        kafka, codec = Kafka(bootstrap_servers=bootstrap), Codec(registry.address)
        bench = _Bench(directory, bootstrap, registry.address)
        console.print(f"{messages} notifications: requested, admitted, commanded")
        events.write(kafka, codec, Topic.NOTIFY_REQUESTED, events.requests(messages))
        requests = bench.run("ours", Topic.NOTIFY_REQUESTED)
        written = 0
        for round_ in range(repeat):
            # Each round has messages of its own: a status that was seen before is no work.
            part = range(round_ * messages // repeat, (round_ + 1) * messages // repeat)
            written += events.write(kafka, codec, Topic.STATUS, events.statuses(part, round_))
            console.print(f"round {round_ + 1} of {repeat}: an agent that does nothing, then the worker")
            noop.append(bench.run("noop", Topic.STATUS))
            worker.append(bench.run("ours", Topic.STATUS))
        codec.close()
        console.print(f"recovery of {rows} rows")
        recovery = measured_recovery(kafka, directory / "recovery", rows)
    rate, noop_rate = median(m.events_per_s for m in worker), median(m.events_per_s for m in noop)
    spent, noop_spent = median(m.cpu_us_per_event for m in worker), median(m.cpu_us_per_event for m in noop)
    return Result(
        events_per_s=rate,
        noop_events_per_s=noop_rate,
        ratio=round(rate / noop_rate, 3),
        cpu_ratio=round(noop_spent / spent, 3),
        requests_per_s=requests.events_per_s,
        recovery_s_per_million=recovery.seconds_per_million,
        rss_mb_per_million=recovery.rss_mb_per_million,
        statuses=written,
        worker=worker,
        noop=noop,
        requests=requests,
        recovery=recovery,
    )


@contextmanager
def _kafka(directory: Path) -> Iterator[str]:
    with KafkaBroker(directory / "kafka") as broker:
        # Without its log: the broker ends before it does.
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in Topic]).values():
            made.result(30)
        yield broker.bootstrap


def _show(result: Result) -> None:
    console = Console()
    rates = Table("round", "nothing, events/s", "worker, events/s", "nothing, µs CPU", "worker, µs CPU")
    for number, (noop, worker) in enumerate(zip(result.noop, result.worker, strict=True), 1):
        rates.add_row(
            str(number),
            f"{noop.events_per_s:,.0f}",
            f"{worker.events_per_s:,.0f}",
            f"{noop.cpu_us_per_event:.0f}",
            f"{worker.cpu_us_per_event:.0f}",
        )
    console.print(rates)
    console.print(
        f"ratio {result.ratio} of the agent that does nothing; by processor time {result.cpu_ratio}"
    )
    console.print(f"notify requests to commands: {result.requests_per_s:,.0f} requests/s")
    recovery = result.recovery
    console.print(
        f"recovery from the changelog: {recovery.seconds_per_million:.1f} s a million rows "
        f"({recovery.rows:,} of {recovery.row_bytes} bytes), from its own disk {recovery.restart_s:.2f} s; "
        f"memory {recovery.rss_mb_per_million:.0f} MB a million, disk {recovery.disk_mb:.0f} MB"
    )
    stages = Table("where the worker's event loop was, last round", "%")
    for share in result.worker[-1].profile:
        stages.add_row(share.stage, f"{share.percent:.1f}")
    console.print(stages)
    threads = Table("processor time by thread, last round", "µs an event")
    for kind, runs in (("nothing", result.noop), ("worker", result.worker)):
        for spent in runs[-1].threads:
            threads.add_row(f"{kind}: {spent.thread}", f"{spent.microseconds:.1f}")
    console.print(threads)


if __name__ == "__main__":
    sys.exit(main())
