"""`notifystream analytics [migrate | backfill …]`: the service, its tables, landing the topics again.

Guarantees: without a subcommand it is the service, as ever; `--dry-run` changes nothing; results on stdout,
progress on stderr. Leaves to `sinks.analytics`: all of the work.
"""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from notifystream.commands import erasing, rebuilding, services
from notifystream.commands.times import moment
from notifystream.console import WRONG_USE, configure_logging, fail, require, settings, stderr, stdout

if TYPE_CHECKING:
    from sinks.analytics.backfill import Done
    from sinks.analytics.between import Span
    from sinks.analytics.cluster import Layout
    from sinks.analytics.migrate import Plan

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
    group.callback()(analytics)
    group.command("migrate")(migrate)
    group.command("backfill")(backfill)
    group.command("rebuild")(rebuilding.rebuild)
    group.command("erase")(erasing.erase)
    app.add_typer(group, name="analytics")


def analytics(context: typer.Context, exit_with_stdin: services.ExitWithStdin = False) -> None:
    """Land everything in ClickHouse, effectively once; makes and migrates its tables.

    Without a subcommand it is the service. Needs KAFKA_BOOTSTRAP_SERVERS,
    SCHEMA_REGISTRY_URL, CLICKHOUSE_URL and PII_HASH_KEY. More processes share
    the partitions.

    [bold]Example[/]: CLICKHOUSE_URL=http://localhost:8123/default notifystream analytics
    """
    if context.invoked_subcommand is None:
        services.analytics(exit_with_stdin)


def migrate(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Bring the tables of CLICKHOUSE_URL to this release, and their retention to the settings.

    The analytics service does the same when it starts; this is for doing it
    before, and for seeing what it would do. Needs CLICKHOUSE_URL, and
    CLICKHOUSE_CLUSTER and ANALYTICS_RETENTION_DAYS as the service has them. May
    run any number of times and at once. A database that a newer release has
    been at is left alone (exit code 1).

    [bold]Examples[/]

    notifystream analytics migrate --dry-run

    ANALYTICS_RETENTION_DAYS='{"status_events": 30}' notifystream analytics migrate
    """
    from notifystream import configs
    from sinks.analytics import migrate as migrating
    from sinks.analytics.errors import AnalyticsError

    chosen = settings()
    (url,) = require(chosen, "clickhouse_url")
    layout = configs.layout(chosen)
    try:
        todo = migrating.plan(url, layout) if dry_run else migrating.carry_out(url, layout)
    except AnalyticsError as error:
        fail(str(error))
    except ValueError as wrong:
        fail(f"CLICKHOUSE_URL: {wrong}", WRONG_USE)
    if as_json:
        sys.stdout.write(json.dumps(_plan_fields(todo, layout, dry_run)) + "\n")
    else:
        _show_plan(todo, layout, dry_run)


def backfill(
    since: Annotated[str, typer.Option(help="30m, 24h, 7d ago, or an ISO 8601 time.")],
    until: Annotated[str | None, typer.Option(help="The same forms; now when left out.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be given again.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Read the topics again between two times of their records and land them as the service does.

    Needs the settings of the service. Rows that are there already collapse with
    their copies, so it may be run any number of times, also beside the service.
    The tables must exist. What is older than the retention of topic or table
    does not come back; who was erased and is still in Kafka does: erase again.

    [bold]Examples[/]

    notifystream analytics backfill --since 6h --dry-run

    notifystream analytics backfill --since 2026-11-20T08:00 --until 2026-11-20T10:00 --table status_events
    """
    from confluent_kafka import KafkaException

    from notifystream import configs
    from notifystream.connections import admin, embedded
    from schemas.errors import RegistryUnavailable
    from sinks.analytics import backfill as filling
    from sinks.analytics import between
    from sinks.analytics.errors import AnalyticsError

    chosen = settings()
    configure_logging(chosen)
    config = configs.analytics(chosen)
    now = int(datetime.now(UTC).timestamp() * 1000)
    tables = tuple(table or ())
    try:
        window = between.Window(
            moment("--since", since, now), moment("--until", until, now) if until else now + 1
        )
        topics = filling.topics_of(tables)
    except (ValueError, AnalyticsError) as wrong:
        fail(str(wrong), WRONG_USE)
    try:
        known = not embedded(admin(config.kafka).list_topics(timeout=between.ANSWER_S).cluster_id)
        spans = between.spans(config.kafka, topics, window, look_up=known)
        done = filling.Done() if dry_run else filling.backfill(config, spans, window, tables, _progress)
    except (AnalyticsError, KafkaException, RegistryUnavailable) as away:
        fail(f"{away}\nWhat is landed so far stays; run it again")
    if as_json:
        sys.stdout.write(json.dumps(_backfill_fields(spans, done, dry_run)) + "\n")
    elif dry_run:
        stdout.print(_spans_table(spans))
    else:
        _show_done(done)


def _show_plan(todo: "Plan", layout: "Layout", dry_run: bool) -> None:
    from sinks.analytics.cluster import on_cluster
    from sinks.analytics.schema_files import concerns

    if not dry_run:
        for line in todo.done:
            stdout.print(f"applied {escape(line)}", soft_wrap=True)
        if not todo.done:
            stdout.print(f"{escape(todo.database)} is up to date")
        return
    if todo.create_database:
        stdout.print(f"-- create database {escape(todo.database)}", soft_wrap=True)
    for migration in todo.migrations:
        for statement in migration.statements(layout.cluster):
            stdout.print(f"\n-- {migration.name}: {escape(concerns(statement))}", soft_wrap=True)
            stdout.print(f"{escape(statement)};", soft_wrap=True)
    for change in todo.retention:
        lost = ", and drops what is older" if change.drops_rows else ""
        stdout.print(f"\n-- retention of {change.table}: {change.from_days} to {change.to_days} days{lost}")
        stdout.print(f"{escape(on_cluster(change.sql, layout.cluster))};", soft_wrap=True)
    if not (todo.migrations or todo.retention):
        stdout.print(f"{escape(todo.database)} is up to date")


def _plan_fields(todo: "Plan", layout: "Layout", dry_run: bool) -> dict[str, Any]:
    from sinks.analytics.cluster import on_cluster
    from sinks.analytics.schema_files import concerns

    return {
        "database": todo.database,
        "cluster": layout.cluster,
        "dry_run": dry_run,
        "create_database": todo.create_database,
        "migrations": [
            {
                "number": migration.number,
                "name": migration.name,
                "statements": [
                    {"concerns": concerns(statement), "sql": statement}
                    for statement in migration.statements(layout.cluster)
                ],
            }
            for migration in todo.migrations
        ],
        "retention": [
            {
                "table": each.table,
                "from_days": each.from_days,
                "to_days": each.to_days,
                "drops_rows": each.drops_rows,
                "sql": on_cluster(each.sql, layout.cluster),
            }
            for each in todo.retention
        ],
    }


def _backfill_fields(spans: "tuple[Span, ...]", done: "Done", dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "spans": [
            {"topic": s.topic, "partition": s.partition, "first": s.first, "end": s.end, "looked_up": s.known}
            for s in spans
        ],
        "records": done.records,
        "given_up": done.given_up,
        "rows": done.rows,
    }


def _spans_table(spans: "tuple[Span, ...]") -> Table:
    made = Table("topic", "partition", "first", "end", "records at most", box=None, header_style="bold")
    for each in spans:
        if each.offsets:
            made.add_row(each.topic, str(each.partition), str(each.first), str(each.end), str(each.offsets))
    return made


def _show_done(done: "Done") -> None:
    stdout.print(f"{done.records} records read, {done.given_up} given up as dead letters")
    for table, rows in sorted(done.rows.items()):
        stdout.print(f"{table}: {rows} rows")


def _progress(done: "Done") -> None:
    stderr.print(f"{done.records} records, {sum(done.rows.values())} rows")
