"""The stream processors as a child process of the tests, with the start and end that `tests.servers` expects.

`python -m tests.streams.serve --bootstrap … --registry … --datadir …`: prints READY when its first partitions
are recovered; ends with exit 0 on SIGTERM and at the end of stdin. Its waits are short, as tests are.
"""

from __future__ import annotations

import argparse
import sys

import structlog
from prometheus_client import start_http_server

from sandbox.serving import add_server_options, announce, end_with_stdin
from schemas.clients import Kafka
from streams.config import StreamsConfig
from streams.delivery import DeliveryPolicy
from streams.intake import IntakePolicy
from streams.worker import run
from tests.streams.builders import SENDER


def main() -> int:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--datadir", required=True)
    parser.add_argument("--instance", default="0")
    parser.add_argument("--health-port", type=int)
    parser.add_argument("--metrics-port", type=int)
    options = parser.parse_args()
    # stdout is for the READY line alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    config = StreamsConfig(
        kafka=Kafka(bootstrap_servers=options.bootstrap),
        schema_registry_url=options.registry,
        delivery=DeliveryPolicy(
            default_sender=SENDER,
            retry_base_ms=300,
            # Longer than a restart, or a test of restarts would see a second check of every attempt.
            admission_again_ms=60_000,
            quiet_after_ms=60_000,
        ),
        intake=IntakePolicy(default_region="US"),
        datadir=options.datadir,
        instance=options.instance,
        health_port=options.health_port,
        session_timeout_s=6.0,
    )
    ready = iter([announce])

    def answers(name: str) -> None:
        for first in ready:  # it is called again after every rebalance
            first(name)

    if options.metrics_port is not None:
        start_http_server(options.metrics_port, addr="127.0.0.1")
    if options.exit_with_stdin:
        end_with_stdin()
    run(config, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
