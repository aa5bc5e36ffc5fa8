"""One process of the stream processors under the run's terms: `python -m tests.streams.chaos.serve …`.

Prints a READY line each time its partitions are recovered; ends with exit 0 on SIGTERM and at the end of
stdin.
"""

from __future__ import annotations

import argparse
import sys

import structlog

from sandbox.serving import announce, end_with_stdin
from schemas.clients import Kafka
from streams.config import StreamsConfig
from streams.worker import run
from tests.streams.chaos.sabotage import SABOTAGE
from tests.streams.chaos.terms import DELIVERY, INTAKE, SESSION_TIMEOUT_S


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.streams.chaos.serve")
    for name in ("bootstrap", "registry", "datadir", "instance"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--sabotage", choices=SABOTAGE)
    options = parser.parse_args()
    if options.sabotage is not None:
        SABOTAGE[options.sabotage]()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    end_with_stdin()
    run(
        StreamsConfig(
            kafka=Kafka(bootstrap_servers=options.bootstrap),
            schema_registry_url=options.registry,
            delivery=DELIVERY,
            intake=INTAKE,
            datadir=options.datadir,
            instance=options.instance,
            session_timeout_s=SESSION_TIMEOUT_S,
        ),
        announce,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
