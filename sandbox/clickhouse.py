"""ClickHouse's HTTP interface in front of chDB, as a server: `python -m sandbox.clickhouse --data DIR`.

Guarantees: prints `READY http://host:port` when it answers, which is the value of CLICKHOUSE_URL; the
database `default` exists; what was inserted is in DIR when the insert is answered, and after every restart.
Leaves to `clickhouse_http` the protocol, to `clickhouse_engine` the engine. One server to one directory: a
second one is refused. It is for trusted clients on this machine: SQL can read files as this user.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.clickhouse_engine import Engine
from sandbox.clickhouse_errors import ClickHouseError
from sandbox.clickhouse_http import clickhouse_app
from sandbox.clickhouse_request import Access
from sandbox.serving import add_server_options, serve

MEGABYTE = 1024 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.clickhouse",
        description="ClickHouse for the sandbox: its HTTP interface over chDB. Prints READY and its URL.",
    )
    add_server_options(parser)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="directory of the databases; made if missing"
    )
    parser.add_argument(
        "--user",
        default=os.environ.get("SANDBOX_CLICKHOUSE_USER"),
        help="only this user may come in (default: $SANDBOX_CLICKHOUSE_USER, or else everybody)",
    )
    parser.add_argument(
        "--password",
        default=os.environ.get("SANDBOX_CLICKHOUSE_PASSWORD", ""),
        help="the user's password (default: $SANDBOX_CLICKHOUSE_PASSWORD, which no process list shows)",
    )
    parser.add_argument(
        "--max-body-mb",
        type=int,
        default=256,
        metavar="MB",
        help="largest request body after decompression (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        engine = Engine(options.data)
    except (ClickHouseError, OSError) as error:
        print(f"sandbox.clickhouse: cannot start in {options.data}: {error}", file=sys.stderr)
        return 1
    app = clickhouse_app(
        engine,
        access=Access(options.user, options.password),
        max_body=options.max_body_mb * MEGABYTE,
    )
    return serve(app, host=options.host, port=options.port, exit_with_stdin=options.exit_with_stdin)


if __name__ == "__main__":
    sys.exit(main())
