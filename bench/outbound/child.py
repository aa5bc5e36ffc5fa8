"""The outbound sink as a process of the bench: as it runs in production, watched by a thread.

`python -m bench.outbound.child --bootstrap … --registry … --api … --senders FILE --out FILE`: prints READY
with its first partitions; ends on SIGTERM or with its stdin, and then writes where its time went to `--out`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec
import psutil

from bench.ingress.processor import Spent
from bench.outbound.sampling import Sampler
from bench.streams.sampling import Share
from notifystream import logs
from sandbox.serving import announce, end_with_stdin
from schemas.clients import Kafka
from sinks.outbound.config import OutboundConfig, TwilioAccount
from sinks.outbound.worker import run
from streams.policy import DEFAULTS, SenderProfile, SenderType


class SenderLimit(msgspec.Struct, frozen=True):
    """What a sender may send: segments per second, and at once."""

    rate: float
    burst: float


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """From the first assignment to the end. `threads`: processor time in microseconds a second."""

    seconds: float
    cpu_s: float
    rss_mb: float
    profile: list[Share]
    threads: list[Spent]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with-stdin", action="store_true")
    for name in ("bootstrap", "registry", "api"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--senders", type=Path, required=True, help="their limits, as JSON")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    logs.configure("json", "info")
    if chosen.exit_with_stdin:
        end_with_stdin()
    limits = msgspec.json.decode(chosen.senders.read_bytes(), type=dict[str, SenderLimit])
    senders = {
        name: SenderProfile(type=SenderType.LONG_CODE, segments_per_s=limit.rate, burst=limit.burst)
        for name, limit in limits.items()
    }
    config = OutboundConfig(
        kafka=Kafka(bootstrap_servers=chosen.bootstrap),
        schema_registry_url=chosen.registry,
        twilio=TwilioAccount(account_sid="AC" + "0" * 32, username="bench", password="x", api_url=chosen.api),
        public_base_url="https://hooks.example.com",
        streams_group="streams",
        concurrency=chosen.concurrency,
        policies=msgspec.structs.replace(DEFAULTS, senders=senders),
    )
    process, sampler = psutil.Process(), Sampler()
    began, used = 0.0, 0.0

    def ready(name: str) -> None:
        nonlocal began, used
        if not began:
            began, used = time.monotonic(), sum(process.cpu_times()[:2])
            sampler.start()
            announce(name)

    run(config, ready)
    seconds = time.monotonic() - began
    watched = Watched(
        seconds=round(seconds, 2),
        cpu_s=round(sum(process.cpu_times()[:2]) - used, 2),
        rss_mb=round(process.memory_info().rss / 2**20, 1),
        profile=sampler.stop(),
        threads=sampler.threads(),
    )
    chosen.out.write_bytes(msgspec.json.encode(watched))
    return 0


if __name__ == "__main__":
    sys.exit(main())
