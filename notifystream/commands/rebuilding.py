"""`notifystream analytics rebuild`: everything by hour, made anew from the raw tables.

Guarantees: results on stdout, progress on stderr. Leaves to `sinks.analytics.rebuilding`: all of the work; to
the service: summing the hours again.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from notifystream.commands.times import moment
from notifystream.console import fail, stderr, stdout
from notifystream.warehouse import clickhouse

# A day's rows at once, of whatever size.
ANSWER_S = 1_800


def rebuild(
    since: Annotated[str | None, typer.Option(help="Requests from then on: 7d, or an ISO 8601 time.")] = None,
    until: Annotated[str | None, typer.Option(help="Requests before then; the same forms.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Make everything by hour anew from messages, notifications and status_events; all of it without --since.

    May run beside the service, and any number of times. Reports are right throughout; they are as fast as
    before when the service has summed the hours again, some minutes later.

    [bold]Examples[/]

    notifystream analytics rebuild

    notifystream analytics rebuild --since 2026-11-01 --until 2026-11-08 --json
    """
    from sinks.analytics import rebuilding
    from sinks.analytics.errors import MigrationError

    now = int(datetime.now(UTC).timestamp() * 1000)
    start = 0 if since is None else moment("--since", since, now)
    end = rebuilding.END_OF_TIME_MS if until is None else moment("--until", until, now)
    with clickhouse(ANSWER_S) as client:
        try:
            days = rebuilding.rebuild(client, start, end, lambda day: stderr.print(f"{day} is made anew"))
        except MigrationError as missing:
            fail(str(missing))
    if as_json:
        sys.stdout.write(json.dumps({"days": days}) + "\n")
    else:
        stdout.print(f"{days} days are made anew; the service sums their hours again")
