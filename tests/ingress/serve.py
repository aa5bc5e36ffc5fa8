"""The ingress as a child process of the tests, with the start and end that `tests.servers` expects.

`python -m tests.ingress.serve --bootstrap … --registry …`: prints READY with its address; ends with exit 0 on
SIGTERM and at the end of stdin. Its accounts are those of `tests.ingress.twilio_side`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from ingress.config import IngressConfig
from ingress.server import run
from sandbox.serving import add_server_options, announce, end_with_stdin
from schemas.clients import Kafka
from tests.ingress.twilio_side import ACCOUNT, BASE, OTHER_ACCOUNT, OTHER_TOKENS, TOKEN


def main() -> int:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--ack-timeout-s", type=float, default=2.0)
    parser.add_argument("--journal", type=Path, help="keep it here (default: a temporary directory)")
    parser.add_argument("--journal-mb", type=int, default=64)
    options = parser.parse_args()
    # stdout is for the READY line alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with ExitStack() as at_end:
        directory = options.journal or Path(at_end.enter_context(TemporaryDirectory(prefix="ingress-")))
        _serve(options, directory)
    return 0


def _serve(options: argparse.Namespace, journal: Path) -> None:
    config = IngressConfig(
        kafka=Kafka(bootstrap_servers=options.bootstrap),
        schema_registry_url=options.registry,
        public_base_url=BASE,
        tokens={ACCOUNT: (TOKEN,), OTHER_ACCOUNT: OTHER_TOKENS},
        sender_tenants={"+14155550100": "acme"},
        ack_timeout_s=options.ack_timeout_s,
        journal_dir=journal,
        journal_max_mb=options.journal_mb,
        host=options.host,
        port=options.port,
    )

    def answers(url: str) -> None:
        announce(url)
        if options.exit_with_stdin:
            end_with_stdin()

    run(config, answers)


if __name__ == "__main__":
    sys.exit(main())
