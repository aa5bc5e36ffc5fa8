"""`python -m bench.outbound`: how fast one sink sends, how well it keeps a rate, how long the urgent wait.

On a real Kafka on the same machine, one sink as it runs in production, and a provider that takes everything
at once (`provider`; with --carrier the sends are counted against `sandbox.carrier` as well, which is slower
than the sink). All times are the provider's: when a request had arrived there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.outbound.bench import Bench, make_topics
from bench.outbound.measures import (
    Paced,
    Unthrottled,
    Urgent,
    against_the_carrier,
    paced,
    unthrottled,
    urgent,
)
from schemas.clients import Kafka
from tests.kafka.broker import KafkaBroker
from tests.servers import running

RATES = (1.0, 10.0, 100.0, 400.0)
_TOGETHER = 50


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written with --json. `sends_per_s` is the median of the runs against the bench's provider."""

    sends_per_s: float
    paced: list[Paced]
    urgent_p99_s: float
    unthrottled: list[Unthrottled]
    carrier_sends_per_s: float | None
    urgent: Urgent | None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.outbound",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m bench.outbound --json outbound.json",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--sends", type=int, default=15_000, help="of each unthrottled run (default: %(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=3, help="unthrottled runs (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=256, help="calls at once (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=35.0, help="of each paced measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--bulk", type=int, default=100_000, help="commands waiting before the urgent (default: %(default)s)"
    )
    parser.add_argument("--carrier", action="store_true", help="count sends against sandbox.carrier as well")
    parser.add_argument("--only", choices=["unthrottled", "paced", "urgent"], help="this measurement alone")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        result = _measured(stack, directory, chosen)
    _show(result)
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return 0


def _measured(stack: ExitStack, directory: Path, chosen: argparse.Namespace) -> Result:
    console = Console(stderr=True)
    broker = stack.enter_context(KafkaBroker(directory / "kafka"))
    make_topics(broker)
    registry = stack.enter_context(running("sandbox.registry", log=directory / "registry"))
    provider = stack.enter_context(running("bench.outbound.provider", log=directory / "provider")).address
    bench = Bench(directory, Kafka(bootstrap_servers=broker.bootstrap), registry.address)
    stack.callback(bench.close)
    free: list[Unthrottled] = []
    kept: list[Paced] = []
    carrier, waited = None, None
    if chosen.only in (None, "unthrottled"):
        for number in range(chosen.repeat):
            console.print(f"unthrottled, {number + 1} of {chosen.repeat}")
            free.append(unthrottled(bench, provider, 200 + number, chosen.sends, chosen.concurrency))
            console.print(f"  {free[-1].sends_per_s:,.0f} sends/s")
        if chosen.carrier:
            console.print("unthrottled, against sandbox.carrier")
            carrier = against_the_carrier(bench, chosen.sends // 2, chosen.concurrency)
    speed = median(run.sends_per_s for run in free) if free else 0.0
    if chosen.only in (None, "paced"):
        # What can be asked of it for certain, with the commands' own writing on the same two cores.
        most_per_s = 0.6 * speed if free else 500.0
        for number, (rate, together) in enumerate((r, t) for t in (1, _TOGETHER) for r in RATES):
            console.print(f"paced: {rate:g} segments/s, {together} senders")
            kept.append(paced(bench, provider, 300 + number, rate, together, chosen.seconds, most_per_s))
            off, above = kept[-1].worst_window_error, kept[-1].above_bucket
            console.print(f"  worst 10 s {100 * off:.2f} % off, {above:+.1f} above the bucket")
    if chosen.only in (None, "urgent"):
        console.print(f"urgent before {chosen.bulk} of bulk")
        waited = urgent(bench, provider, chosen.bulk, rate=100, per_s=10, seconds=30)
    return Result(
        sends_per_s=speed,
        paced=kept,
        urgent_p99_s=waited.p99_s if waited else 0.0,
        unthrottled=free,
        carrier_sends_per_s=carrier,
        urgent=waited,
    )


def _show(result: Result) -> None:
    console = Console()
    if result.unthrottled:
        each = ", ".join(f"{run.sends_per_s:,.0f}" for run in result.unthrottled)
        console.print(f"unthrottled: {result.sends_per_s:,.0f} sends/s ({each})")
        last = result.unthrottled[-1].watched
        console.print(
            f"the sink: {last.cpu_s:.1f} s of processor in {last.seconds:.1f} s, {last.rss_mb:.0f} MB"
        )
        stages = Table("where its event loop was, last run", "%")
        for share in last.profile:
            stages.add_row(share.stage, f"{share.percent:.1f}")
        console.print(stages)
        threads = Table("processor by thread, last run", "ms a second")
        for spent in last.threads:
            threads.add_row(spent.thread, f"{spent.microseconds / 1000:.1f}")
        console.print(threads)
    if result.carrier_sends_per_s is not None:
        console.print(f"against sandbox.carrier: {result.carrier_sends_per_s:,.0f} sends/s")
    if result.paced:
        rates = Table("segments/s", "senders", "others", "a text", "bucket", "worst 10 s", "above")
        for kept in result.paced:
            rates.add_row(
                f"{kept.rate:g}",
                str(kept.senders),
                f"{kept.others_rate:g}",
                str(kept.text_segments),
                f"{kept.burst:g}",
                f"{100 * kept.worst_window_error:.2f} %",
                f"{kept.above_bucket:+.1f}",
            )
        console.print(rates)
    if result.urgent is not None:
        told = result.urgent
        console.print(
            f"urgent, {told.bulk_waiting:,} bulk waiting at {told.rate:g}/s: p50 {told.p50_s * 1000:.0f} ms, "
            f"p99 {told.p99_s * 1000:.0f} ms, longest {told.max_s * 1000:.0f} ms"
        )


if __name__ == "__main__":
    sys.exit(main())
