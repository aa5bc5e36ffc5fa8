"""`notifystream report`, `sql` and `show`: what ClickHouse knows, for people and for programs.

Guarantees: results alone on stdout (a table, JSON or CSV); nothing is written to ClickHouse, which is told so
(`readonly`). Leaves the figures to `sinks.analytics`.
"""

import contextlib
import csv
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from notifystream.console import WRONG_USE, fail, require, settings, stdout
from notifystream.report_table import report_table
from sinks.analytics.reports import Report, ReportName

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from sinks.analytics.timeline import Timeline

AsJson = Annotated[bool, typer.Option("--json", help="JSON: one array of objects.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header line.")]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def register(app: typer.Typer) -> None:
    app.command("report")(report)
    app.command("sql")(sql)
    app.command("show")(show)


def report(
    name: Annotated[ReportName, typer.Argument(help="What to report.")],
    since: Annotated[str, typer.Option(help="24h, 30m, 7d … ago, or an ISO 8601 time.")] = "24h",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Deliverability by carrier or country, why attempts failed, how long it takes.

    [bold]Examples[/]

    notifystream report carriers

    notifystream report errors --since 7d --tenant acme

    notifystream report latency --since 2026-11-20T08:00 --csv
    """
    from sinks.analytics.reports import report as make

    with _clickhouse() as client:
        made = make(client, name, _since(since), tenant=tenant)
    _print(made, as_json, as_csv, f"Nothing since {since}.")


def sql(
    query: Annotated[str, typer.Argument(help="One query; reading only.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask ClickHouse anything; the views to start with are deliverability, notification_states,
    message_endings, request_latencies, delivery_latencies, message_prices, consent.

    [bold]Examples[/]

    notifystream sql "SELECT * FROM deliverability ORDER BY hour DESC LIMIT 20"

    notifystream sql "SELECT state, sum(notifications) FROM notification_states GROUP BY state" --json

    notifystream sql "SHOW TABLES"

    Tables keep every copy until ClickHouse merges them: say FROM messages FINAL, or use the views.
    """
    with _clickhouse() as client:
        result = client.query(query, settings={"readonly": 2})
        columns, rows = tuple(result.column_names), tuple(map(tuple, result.result_rows))
    _print(Report("", columns, rows), as_json, as_csv, "No rows.")


def show(
    notification_id: Annotated[str | None, typer.Argument(help="Id of the notification.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of the id: the tenant, with --key.")] = None,
    key: Annotated[str | None, typer.Option(help="Instead of the id: the idempotency key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """One notification's whole story: request, commands, attempts, statuses, outcomes, dead letters.

    [bold]Examples[/]

    notifystream show 4f6b0a52-7c0e-5d5c-9d0a-6f1d0f6c2b11

    notifystream show --tenant acme --key order-1017-shipped
    """
    from schemas.identity import notification_id as made_of
    from sinks.analytics.errors import UnknownNotification
    from sinks.analytics.timeline import timeline

    if notification_id is None:
        if tenant is None or key is None:
            fail("name a notification: its id, or --tenant and --key of the request", WRONG_USE)
        notification_id = made_of(tenant, key)
    elif tenant is not None or key is not None:
        fail("give either the id, or --tenant and --key, not both", WRONG_USE)
    with _clickhouse() as client:
        try:
            story = timeline(client, notification_id)
        except UnknownNotification as unknown:
            fail(str(unknown))
    if as_json:
        sys.stdout.write(json.dumps(_story(story), ensure_ascii=False, indent=2) + "\n")
    else:
        _print_story(story)


@contextlib.contextmanager
def _clickhouse() -> Iterator["Client"]:
    """A client; whatever ClickHouse answers badly ends the command with what it said."""
    (url,) = require(settings(), "clickhouse_url")
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from sinks.analytics.clickhouse import connect, public
    from sinks.analytics.errors import ClickHouseAway

    try:
        client = connect(url)
    except ClickHouseAway as away:
        fail(f"ClickHouse is not reachable at {public(url)}: is it up, and is CLICKHOUSE_URL right?\n{away}")
    except ValueError as wrong:
        fail(f"CLICKHOUSE_URL: {wrong}", WRONG_USE)
    try:
        yield client
    except ClickHouseError as refused:
        fail(f"ClickHouse at {public(url)}: {_first_words(str(refused))}")
    finally:
        client.close()


def _first_words(message: str) -> str:
    """ClickHouse's own words; the driver wraps them in its own and repeats the URL."""
    found = re.search(r"(?:Code: \d+\. )?DB::Exception: (.*)", message, re.DOTALL)
    return found[1].strip() if found else message


def _since(text: str) -> datetime:
    ago = re.fullmatch(r"-?(\d+)([smhdw])", text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        # A time without a zone is the reader's own.
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        fail(f"--since {text!r} is no time: write 24h, 30m, 7d or 2026-11-20T08:00", WRONG_USE)


def _print(made: Report, as_json: bool, as_csv: bool, nothing: str) -> None:
    if as_json and as_csv:
        fail("--json or --csv, not both", WRONG_USE)
    if as_json:
        rows = [dict(zip(made.columns, row, strict=True)) for row in made.rows]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, default=str) + "\n")
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(made.columns)
        writer.writerows(made.rows)
    elif not made.rows:
        stdout.print(nothing)
    else:
        stdout.print(report_table(made))


def _story(story: "Timeline") -> dict[str, Any]:
    return {
        "notification_id": story.notification_id,
        "tenant": story.tenant,
        "state": story.state,
        "final": story.final,
        "moments": [
            {
                "at": moment.at.isoformat(timespec="milliseconds"),
                "kind": moment.kind,
                "what": moment.what,
                **({"details": dict(moment.details)} if moment.details else {}),
            }
            for moment in story.moments
        ],
    }


def _print_story(story: "Timeline") -> None:
    state = f"[bold]{escape(story.state)}[/]" if story.state else "no outcome yet"
    ended = "" if story.state is None else ", final" if story.final else ", open"
    stdout.print(f"[bold]{escape(story.notification_id)}[/] {escape(story.tenant or '')}: {state}{ended}")
    table = Table(box=None, pad_edge=False, show_header=False)
    first = story.moments[0].at
    for moment in story.moments:
        details = " ".join(f"[dim]{escape(name)}=[/]{escape(value)}" for name, value in moment.details)
        table.add_row(
            f"[dim]{moment.at.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3] + "[/]",
            f"[dim]+{(moment.at - first).total_seconds():.3f} s[/]",
            escape(moment.kind),
            f"[bold]{escape(moment.what)}[/] {details}",
        )
    stdout.print(table)
