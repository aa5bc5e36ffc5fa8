"""`python -m tests.analytics.sink_process CONFIG`: the sink as a process that a test can kill."""

from __future__ import annotations

import signal
import sys
import threading

import msgspec

from schemas.clients import Kafka
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.sink import run


def main() -> None:
    told = msgspec.json.decode(sys.argv[1])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    config = AnalyticsConfig(
        kafka=Kafka(bootstrap_servers=told["bootstrap"]),
        schema_registry_url=told["registry"],
        clickhouse_url=told["clickhouse"],
        pii_hash_key=bytes.fromhex(told["key"]),
        batch_rows=told["batch_rows"],
        batch_s=told["batch_s"],
    )
    run(config, lambda _: print("READY sink", flush=True), stop)


if __name__ == "__main__":
    main()
