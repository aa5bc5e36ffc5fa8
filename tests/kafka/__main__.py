"""`python -m tests.kafka fetch` and `… run`: the tests' Kafka from the command line.

`run` keeps the contract of the sandbox servers: one line `READY host:port` on stdout when it answers, exit 0
on SIGTERM or SIGINT, and with --exit-with-stdin also when stdin ends. Data go to --directory, which is kept,
or to a temporary one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from sandbox.serving import announce, end_with_stdin, ending
from tests.kafka import jars
from tests.kafka.broker import HEAP_MB, BrokerFailedError, KafkaBroker


def main() -> int:
    """Exit 0 after what was asked, 1 when Kafka cannot be had or run here."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description="A real Kafka for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="the jars into .kafka/, once")
    run = commands.add_parser("run", help="a broker on 127.0.0.1 until SIGTERM")
    run.add_argument("--directory", type=Path, help="keep the data here (default: a temporary directory)")
    run.add_argument("--port", type=int, default=0, help="of a new directory; 0 takes any free one")
    run.add_argument("--heap-mb", type=int, default=HEAP_MB, help="Java heap in MB (default: %(default)s)")
    run.add_argument("--exit-with-stdin", action="store_true", help="end when stdin reaches its end")
    chosen = parser.parse_args()
    try:
        if chosen.command == "fetch":
            print(jars.fetch())
            return 0
        end = ending()
        if chosen.exit_with_stdin:
            end_with_stdin()
        with ExitStack() as at_end:
            directory = chosen.directory or Path(
                at_end.enter_context(tempfile.TemporaryDirectory(prefix="kafka-"))
            )
            broker = KafkaBroker(directory.resolve(), port=chosen.port, heap_mb=chosen.heap_mb)
            announce(at_end.enter_context(broker).bootstrap)
            end.wait()
    except (jars.KafkaUnavailableError, BrokerFailedError) as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
