"""`python -m bench.ingress`: what a signed, acknowledged status callback costs, against an empty handler.

In one run, alternating and each several times: an empty Starlette POST handler and the ingress, both on the
ingress's own server and settings, one worker each; the ingress with a real Kafka on the same machine
(acks=all, one broker, the topics as `topics.yaml` has them). The same signed requests go to both.
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

import httpx2
import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console
from rich.table import Table

from bench.ingress.load import Load, write_requests
from bench.ingress.processor import Spent, spent_by
from bench.ingress.requests import signed_requests
from bench.ingress.stages import Stage, measured_stages
from ingress.accepted import RECORDS
from schemas.topics import load_topics
from tests.kafka.broker import KafkaBroker
from tests.servers import Server, running
from tests.waiting import wait_until

CONNECTIONS = (1, 32, 256)
REQUESTS = 10_000
OPEN_LOOP_PER_S = 1000
OPEN_LOOP_CONNECTIONS = 64


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written with --json. Rates in requests/s; a list has one entry per repetition.

    `bare_rps` is an empty handler that answers without reading the body, `bare_reading_rps` one that reads
    it first. Ratios are of medians.
    """

    bare_rps: float
    bare_reading_rps: float
    signed_rps: float
    ratio_256: float
    ratio_256_reading: float
    p99_ms_at_1000rps: float
    p50_ms_at_1_connection: float
    bare: dict[str, list[Load]]
    bare_reading: dict[str, list[Load]]
    signed: dict[str, list[Load]]
    open_loop: list[Load]
    processor: list[Spent]
    stages: list[Stage]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m bench.ingress --json ingress.json",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="measurements of each kind (default: %(default)s)"
    )
    chosen = parser.parse_args()
    console = Console(stderr=True)
    with ExitStack() as at_end:
        directory = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        result = _measured(console, directory, chosen.seconds, chosen.repeat)
    _show(result)
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return 0


def _measured(console: Console, directory: Path, seconds: float, repeat: int) -> Result:
    requests = directory / "requests"
    write_requests(requests, signed_requests(REQUESTS))
    bare: dict[str, list[Load]] = {str(number): [] for number in CONNECTIONS}
    reading: dict[str, list[Load]] = {str(number): [] for number in CONNECTIONS}
    signed: dict[str, list[Load]] = {str(number): [] for number in CONNECTIONS}
    open_loop: list[Load] = []
    processor: list[Spent] = []
    with _kafka(directory) as bootstrap, running("sandbox.registry", log=directory / "registry") as registry:
        for round_ in range(repeat):
            for name, kind in (("bare", bare), ("bare_reading", reading)):
                options = ["--read"] if kind is reading else []
                with running("bench.ingress.bare", *options, log=directory / name) as server:
                    for number in CONNECTIONS:
                        console.print(f"round {round_ + 1} of {repeat}: {name}, {number} connections")
                        kind[str(number)].append(_load(server, requests, number, seconds))
            with _ingress(bootstrap, registry.address, directory) as server:
                for number in CONNECTIONS:
                    console.print(f"round {round_ + 1} of {repeat}: signed, {number} connections")
                    before = _acknowledged(server)
                    with spent_by(server.pid) as spent:
                        signed[str(number)].append(_load(server, requests, number, seconds))
                    processor = spent.per_request(_acknowledged(server) - before)
                console.print(f"round {round_ + 1} of {repeat}: open loop, {OPEN_LOOP_PER_S} requests/s")
                open_loop.append(_load(server, requests, OPEN_LOOP_CONNECTIONS, seconds * 2, OPEN_LOOP_PER_S))
    most = str(CONNECTIONS[-1])
    bare_rps, reading_rps, signed_rps = (
        median(load.per_second for load in kind[most]) for kind in (bare, reading, signed)
    )
    return Result(
        bare_rps=bare_rps,
        bare_reading_rps=reading_rps,
        signed_rps=signed_rps,
        ratio_256=round(signed_rps / bare_rps, 3),
        ratio_256_reading=round(signed_rps / reading_rps, 3),
        p99_ms_at_1000rps=median(load.p99_ms for load in open_loop),
        p50_ms_at_1_connection=median(load.p50_ms for load in signed["1"]),
        bare=bare,
        bare_reading=reading,
        signed=signed,
        open_loop=open_loop,
        processor=processor,
        stages=measured_stages(signed_requests(REQUESTS)),
    )


@contextmanager
def _kafka(directory: Path) -> Iterator[str]:
    with KafkaBroker(directory / "kafka") as broker:
        # Without its log: the broker ends before it does.
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        for made in admin.create_topics(
            [NewTopic(topic, load_topics().partitions, 1) for topic in RECORDS]
        ).values():
            made.result(30)
        yield broker.bootstrap


@contextmanager
def _ingress(bootstrap: str, registry: str, directory: Path) -> Iterator[Server]:
    options = ["--bootstrap", bootstrap, "--registry", registry]
    with running("tests.ingress.serve", *options, log=directory / "ingress") as server:
        ready = f"{server.address}/readyz"
        wait_until(lambda: httpx2.get(ready, timeout=10).status_code == 200, 30, "the ingress to be ready")
        yield server


def _load(
    server: Server, requests: Path, connections: int, seconds: float, rate: float | None = None
) -> Load:
    command = [sys.executable, "-m", "bench.ingress.load", "--port", server.address.rpartition(":")[2]]
    command += ["--requests", str(requests), "--connections", str(connections), "--seconds", str(seconds)]
    command += [] if rate is None else ["--rate", str(rate)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=seconds + 60)
    load = msgspec.json.decode(done.stdout, type=Load)
    if load.refused:
        raise SystemExit(
            f"{load.refused} requests were refused or not answered; the figures would mean nothing"
        )
    return load


def _acknowledged(server: Server) -> int:
    """Status callbacks that this ingress has acknowledged since its start."""
    sample = 'ingress_requests_total{result="acknowledged",route="status"}'
    lines = httpx2.get(f"{server.address}/metrics", timeout=10).text.splitlines()
    return int(float(next(line for line in lines if line.startswith(sample)).split()[-1]))


def _show(result: Result) -> None:
    console = Console()
    rates = Table("connections", "empty /s", "empty, reads /s", "signed /s", "p50 ms", "p99 ms")
    for number in map(str, CONNECTIONS):
        kinds = [result.bare[number], result.bare_reading[number], result.signed[number]]
        rates.add_row(
            number,
            *[_spread([load.per_second for load in kind]) for kind in kinds],
            _spread([load.p50_ms for load in result.signed[number]]),
            _spread([load.p99_ms for load in result.signed[number]]),
        )
    console.print(rates)
    console.print(
        f"ratio at 256 connections: {result.ratio_256} of an empty handler, "
        f"{result.ratio_256_reading} of one that reads the body"
    )
    p50, p99 = (_spread([getattr(load, of) for load in result.open_loop]) for of in ("p50_ms", "p99_ms"))
    console.print(f"open loop, {OPEN_LOOP_PER_S} requests/s: p50 {p50} ms, p99 {p99} ms")
    stages = Table("what a request costs the event loop", "µs")
    for stage in result.stages:
        stages.add_row(stage.name, f"{stage.microseconds:.2f}")
    console.print(stages)
    processor = Table("processor time at 256 connections, by thread", "µs a request")
    for spent in result.processor:
        processor.add_row(spent.thread, f"{spent.microseconds:.1f}")
    console.print(processor)


def _spread(values: list[float]) -> str:
    """Median, and between which values it is."""
    return f"{_short(median(values))} ({_short(min(values))}–{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
