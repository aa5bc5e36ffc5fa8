"""A schema registry with Confluent's REST calls, as a server: `python -m sandbox.registry`.

Guarantees: prints `READY http://host:port` when it answers, which is the value of SCHEMA_REGISTRY_URL; with
`--data FILE` every schema, id, level and mode survives its end, also by kill -9.
Leaves to `registry_routes` the calls, and to whoever deploys it for real Confluent's own registry.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.registry_journal import Journal, JournalError
from sandbox.registry_routes import registry_app
from sandbox.registry_store import Store
from sandbox.serving import add_server_options, serve


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.registry",
        description="An Avro schema registry (Confluent's REST calls) for the sandbox. Prints READY url.",
    )
    add_server_options(parser)
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="keep everything in this file (default: in memory only)"
    )
    options = parser.parse_args(arguments)
    try:
        store = Store(Journal(options.data) if options.data is not None else None)
    except (JournalError, OSError) as error:
        print(f"sandbox.registry: cannot start from {options.data}: {error}", file=sys.stderr)
        return 1
    return serve(
        registry_app(store), host=options.host, port=options.port, exit_with_stdin=options.exit_with_stdin
    )


if __name__ == "__main__":
    sys.exit(main())
