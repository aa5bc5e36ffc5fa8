"""`notifystream analytics erase`: take one recipient out of ClickHouse, on request.

Guarantees: says first what will go and asks; never prints the number; exit 0 means that a query found
nothing left. Leaves the work and the proof to `sinks.analytics.erasure`.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from notifystream.console import WRONG_USE, fail, require, settings, stderr, stdout
from notifystream.warehouse import clickhouse

if TYPE_CHECKING:
    from notifystream.settings import Settings
    from sinks.analytics.erasure import Erasure


def erase(
    number: Annotated[
        str,
        typer.Argument(help="The number, +<country code>…; - reads it from stdin: shells remember."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Erase one recipient from every table of ClickHouse, and prove it by asking for what is left.

    Needs CLICKHOUSE_URL, PII_HASH_KEY and, while it is being changed,
    PII_HASH_KEY_PREVIOUS. May be repeated. Exit code 0 means that a query found
    nothing left. Kafka is not touched: its records age out by retention, and
    what lands of them later is erased by a second run.

    [bold]Examples[/]

    notifystream analytics erase +14155550123 --dry-run

    notifystream analytics erase - --yes --json < number.txt
    """
    chosen = settings()
    keys = _keys(chosen)
    from sinks.analytics.erasure import ErasureIncomplete, NotANumber, hashes_of, number_of
    from sinks.analytics.erasure import erase as run

    try:
        hashes = hashes_of(number_of(sys.stdin.readline() if number == "-" else number), keys)
    except NotANumber as wrong:
        fail(str(wrong), WRONG_USE)
    with clickhouse() as client:
        found = run(client, hashes, dry_run=True)
        if not found.tables:
            fail(
                "no table of this database holds people: nothing can be erased or proved here. Is "
                "CLICKHOUSE_URL the database of `notifystream analytics`?"
            )
        if dry_run:
            _tell(found, as_json)
            return
        if not yes:
            _ask(found)
        try:
            _tell(run(client, hashes), as_json)
        except ErasureIncomplete as incomplete:
            fail(str(incomplete))


def _keys(chosen: "Settings") -> tuple[bytes, ...]:
    (key,) = require(chosen, "pii_hash_key")
    previous = chosen.pii_hash_key_previous
    keys = (key, previous.get_secret_value()) if previous is not None else (key,)
    return tuple(one.encode() for one in keys if one)


def _ask(found: "Erasure") -> None:
    if not sys.stdin.isatty():
        fail("erasing cannot be undone, and nobody is there to ask: say --yes", WRONG_USE)
    stderr.print(f"{found.found} rows of {found.notifications} notifications will be erased for good.")
    if not typer.confirm("Erase them?", err=True):
        fail("nothing was erased")


def _tell(erasure: "Erasure", as_json: bool) -> None:
    from schemas.topics import load_topics
    from sinks.analytics.erasure import aging_out

    topics = aging_out(load_topics().topics.items())
    if as_json:
        told = {
            "dry_run": erasure.dry_run,
            "notifications": erasure.notifications,
            "tables": {table.table: {"found": table.found, "left": table.left} for table in erasure.tables},
            "ages_out_of_kafka": dict(topics),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for table in erasure.tables:
        stdout.print(f"{table.table:<24}{table.found:>10} rows found{table.left:>10} left")
    stdout.print(
        f"{erasure.found} rows of {erasure.notifications} notifications "
        + ("would be erased." if erasure.dry_run else "erased; a query finds none left.")
    )
    if not erasure.found:
        stderr.print(
            "Nothing of this number was found: is PII_HASH_KEY the key that the rows were landed with, or "
            "PII_HASH_KEY_PREVIOUS?"
        )
    kept = ", ".join(f"{topic} ({retention})" for topic, retention in topics)
    stderr.print(f"In Kafka records age out by themselves: {kept}. What lands of them later: run this again.")
