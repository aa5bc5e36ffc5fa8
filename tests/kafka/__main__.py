"""`python -m tests.kafka fetch` and `… run`: the tests' Kafka from the command line.

`run` speaks as the sandbox servers do: one line `READY host:port` on stdout when it answers, exit 0 on
SIGTERM or SIGINT, and with --exit-with-stdin also when stdin ends. Data go to --directory, which is kept, or
to a temporary one.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.kafka import jars
from tests.kafka.broker import HEAP_MB, BrokerFailedError, KafkaBroker


def main() -> int:
    """Exit 0 after what was asked, 1 when Kafka cannot be had or run here."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description="A real Kafka for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="the jars into .kafka/, once")
    run = commands.add_parser("run", help="a broker on 127.0.0.1 until SIGTERM")
    run.add_argument("--directory", type=Path, help="keep the data here (default: a temporary directory)")
    run.add_argument("--port", type=int, default=0, help="0: any free one; of a new directory only")
    run.add_argument("--heap-mb", type=int, default=HEAP_MB, help="Java heap in MB")
    run.add_argument("--exit-with-stdin", action="store_true", help="end when stdin does")
    chosen = parser.parse_args()
    try:
        if chosen.command == "fetch":
            print(jars.fetch())
            return 0
        with tempfile.TemporaryDirectory(prefix="kafka-") as temporary:
            directory = (chosen.directory or Path(temporary)).resolve()
            return _run(
                KafkaBroker(directory, port=chosen.port, heap_mb=chosen.heap_mb), chosen.exit_with_stdin
            )
    except (jars.KafkaUnavailableError, BrokerFailedError) as trouble:
        print(trouble, file=sys.stderr)
        return 1


def _run(broker: KafkaBroker, exit_with_stdin: bool) -> int:
    ends = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the first thread starts, so that sigwait() below is the one place they arrive at.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    if exit_with_stdin:
        threading.Thread(target=_terminate_at_eof, daemon=True).start()
    with broker:
        print(f"READY {broker.bootstrap}", flush=True)
        signal.sigwait(ends)
    return 0


def _terminate_at_eof() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
