"""`notifystream report` and `sql`: what ClickHouse knows, for people and for programs.

Guarantees: results alone on stdout (a table, JSON or CSV); nothing is written to ClickHouse, which is told so
(`readonly`). Leaves the figures to `sinks.analytics`.
"""

import csv
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from notifystream.console import WRONG_USE, fail, stdout
from notifystream.report_table import report_table
from notifystream.warehouse import clickhouse
from sinks.analytics.reports import Report, ReportName

AsJson = Annotated[bool, typer.Option("--json", help="JSON: one array of objects.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header line.")]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def register(app: typer.Typer) -> None:
    app.command("report")(report)
    app.command("sql")(sql)


def report(
    name: Annotated[ReportName, typer.Argument(help="What to report.")],
    since: Annotated[str, typer.Option(help="30m, 24h, 7d, 4w ago, or an ISO 8601 time.")] = "24h",
    until: Annotated[str | None, typer.Option(help="The end, as --since; without it, now.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="What the rows are by: tenant,country,carrier,sender,channel,category,hour,day.",
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What was delivered where, what was lost and why, how long it takes, what it costs.

    deliverability  how many arrive, by country, carrier, channel and sender
    carriers        the same by country and carrier
    countries       the same by country
    errors          why attempts failed: codes, what they mean, what to do
    latency         seconds from request to carrier, from carrier to person
    funnel          requested, admitted, sent, delivered; who was lost, why
    optouts         which campaigns and categories are answered with STOP
    costs           segments, prices told and estimated, cost per delivery
    filtering       30007, 30003, 30005 against earlier weeks' same hours
    providers       providers side by side: share delivered, speed, cost
    anomalies       what is out of the ordinary, each with its evidence
    unconfirmed     what nobody has the last word of, by age

    Everything counts at the time of its request. Percentages come with the
    interval they are in for 95 %. Not every report can be by everything: one
    that cannot says what it can be by. The table leaves out what JSON and CSV
    have.

    [bold]Examples[/]

    notifystream report carriers

    notifystream report errors --since 7d --tenant acme

    notifystream report deliverability --since 7d --until 1d --by carrier,day

    notifystream report funnel --by campaign --json

    notifystream report latency --since 2026-11-20T08:00 --csv
    """
    from sinks.analytics.errors import UnknownReport
    from sinks.analytics.reports import report as make

    start, end = _time("--since", since), None if until is None else _time("--until", until)
    dimensions = tuple(name.strip() for name in by.split(",")) if by else ()
    with clickhouse() as client:
        try:
            made = make(client, name, start, until=end, tenant=tenant, by=dimensions)
        except UnknownReport as unknown:
            fail(str(unknown), WRONG_USE)
    of_whom = "" if tenant is None else f" of tenant {tenant}"
    _print(
        made, as_json, as_csv, f"Nothing since {since}{'' if until is None else f' until {until}'}{of_whom}."
    )


def sql(
    query: Annotated[str, typer.Argument(help="One query; reading only.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask ClickHouse anything; reading only.

    deliverability        counts of attempts, by hour of the request and more
    attributed_messages   attempts, with the carrier as looked up, MCC and MNC
    message_endings       attempts, with the carrier of the prefix
    notification_states   counts of notifications, by hour, state and reason
    request_latencies     milliseconds from the request to the carrier
    delivery_latencies    milliseconds from the carrier to the person
    message_prices        what each message cost, as told by the provider
    consent               who may be written to now
    recipient_people      which hashes are one person, after a change of keys
    route_attempts        what the route health counts

    These views are exact at every moment. Tables keep every copy until
    ClickHouse merges them: say FROM messages FINAL.

    [bold]Examples[/]

    notifystream sql "SELECT * FROM deliverability ORDER BY hour DESC LIMIT 20"

    notifystream sql "SELECT state, sum(notifications) FROM notification_states GROUP BY state" --json

    notifystream sql "SHOW TABLES"
    """
    with clickhouse() as client:
        result = client.query(query, settings={"readonly": 2})
        columns, rows = tuple(result.column_names), tuple(map(tuple, result.result_rows))
    _print(Report("", columns, rows), as_json, as_csv, "No rows.")


def _time(option: str, text: str) -> datetime:
    ago = re.fullmatch(r"-?(\d+)([smhdw])", text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        # A time without a zone is the reader's own.
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        fail(f"{option} {text!r} is no time: write 24h, 30m, 7d or 2026-11-20T08:00", WRONG_USE)


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
