"""The ingress under test as a child process, with answers configured so that what people write is judged too.

`python -m tests.fuzz.ingress.serve --bootstrap … --registry …`: READY and end as `tests.servers` expects.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from ingress.config import IngressConfig
from ingress.server import run
from sandbox.serving import add_server_options, announce, end_with_stdin
from schemas.clients import Kafka
from tests.fuzz.ingress.sdk import TOKENS
from tests.ingress.twilio_side import BASE

ANSWERS = """
default:
  help: "Help: https://acme.example/help"
  opted_out: "You will get no more messages."
  opted_in: "You will get messages again."
  otherwise: "Nobody reads here."
  keywords:
    - match: STATUS <order>
      reply: "{sender}: we look up {argument} & write back."
    - match: ACK [incident]
      reply: "Noted: {keyword} {argument}"
    - match: NOTE <text...>
"""


def main() -> int:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    options = parser.parse_args()
    # stdout is for the READY line alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with TemporaryDirectory(prefix="fuzz-ingress-") as directory:
        answers = Path(directory, "answers.yaml")
        answers.write_text(ANSWERS)
        config = IngressConfig(
            kafka=Kafka(bootstrap_servers=options.bootstrap),
            schema_registry_url=options.registry,
            public_base_url=BASE,
            tokens=TOKENS,
            sender_tenants={"+14155550100": "acme"},
            answers_file=answers,
            journal_dir=Path(directory, "journal"),
            journal_max_mb=64,
            host=options.host,
            port=options.port,
        )

        def serving(url: str) -> None:
            announce(url)
            if options.exit_with_stdin:
                end_with_stdin()

        run(config, serving)
    return 0


if __name__ == "__main__":
    sys.exit(main())
