"""The outbound sink as a child process of the tests, with the start and end that `tests.servers` expects.

`python -m tests.outbound.serve --bootstrap … --registry … --api …`: prints READY once its first partitions
and their journals are there; ends with exit 0 on SIGTERM and at the end of stdin. Times are short, as far as
they are safe.
"""

from __future__ import annotations

import argparse
import sys

import msgspec
import structlog
from prometheus_client import start_http_server

from sandbox.serving import announce, end_with_stdin
from schemas.clients import Kafka
from sinks.outbound.config import OutboundConfig
from sinks.outbound.worker import run
from streams.policy import DEFAULTS, SenderProfile, SenderType
from tests.outbound.simulator import account_at

STREAMS_GROUP = "streams"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with-stdin", action="store_true")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--public", default="http://127.0.0.1:9")
    parser.add_argument("--instance", default="0")
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--burst", type=float, default=1_000.0)
    parser.add_argument("--slow", nargs="*", default=[], metavar="SENDER", help="have --slow-rate and -burst")
    parser.add_argument("--slow-rate", type=float, default=1.0)
    parser.add_argument("--slow-burst", type=float, default=1.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--connect-timeout-s", type=float, default=1.0)
    parser.add_argument("--read-timeout-s", type=float, default=1.5)
    parser.add_argument("--call-window-s", type=float, default=1.0)
    parser.add_argument("--settle-after-s", type=float, default=4.0)
    parser.add_argument("--hold-after-s", type=float, default=9.0)
    parser.add_argument("--session-timeout-s", type=float, default=6.0)
    parser.add_argument("--health-port", type=int)
    parser.add_argument("--metrics-port", type=int)
    options = parser.parse_args()
    # stdout is for the READY line alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    slow = SenderProfile(
        type=SenderType.LONG_CODE, segments_per_s=options.slow_rate, burst=options.slow_burst
    )
    config = OutboundConfig(
        kafka=Kafka(bootstrap_servers=options.bootstrap),
        schema_registry_url=options.registry,
        twilio=account_at(
            options.api,
            connect_timeout_s=options.connect_timeout_s,
            read_timeout_s=options.read_timeout_s,
        ),
        public_base_url=options.public,
        streams_group=STREAMS_GROUP,
        sender_rate=options.rate,
        sender_burst=options.burst,
        concurrency=options.concurrency,
        call_window_s=options.call_window_s,
        settle_after_s=options.settle_after_s,
        hold_after_s=options.hold_after_s,
        instance=options.instance,
        session_timeout_s=options.session_timeout_s,
        states_every_s=0.2,
        health_port=options.health_port,
        policies=msgspec.structs.replace(DEFAULTS, senders=dict.fromkeys(options.slow, slow)),
    )
    if options.metrics_port is not None:
        start_http_server(options.metrics_port, addr="127.0.0.1")
    ready = False

    def answers(name: str) -> None:
        nonlocal ready
        if not ready:
            ready = True
            announce(name)

    if options.exit_with_stdin:
        end_with_stdin()
    run(config, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
