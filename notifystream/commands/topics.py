"""`notifystream topics apply|list`: the topics and schemas of a broker, made and shown."""

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from notifystream.console import fail, require, settings, stderr, stdout

if TYPE_CHECKING:
    from notifystream.topic_apply import Applied


def register(app: typer.Typer) -> None:
    topics = typer.Typer(
        help="Create and show the pipeline's topics and schemas.",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    topics.command("apply")(apply)
    topics.command("list")(list_topics)
    app.add_typer(topics, name="topics")


def apply(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Partitions of every topic, instead of topics.yaml's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")] = False,
) -> None:
    """Create the topics that are missing, register the schemas, report what differs.

    Nothing that exists is changed. Exit code 1 when a topic differs from topics.yaml or a schema is refused.

    [bold]Examples[/]

    notifystream topics apply

    notifystream topics apply --partitions 6 --dry-run --json
    """
    from notifystream import topic_apply
    from notifystream.connections import admin, kafka
    from schemas.topics import load_topics

    chosen = settings()
    broker = kafka(chosen)
    (registry_url,) = require(chosen, "schema_registry_url")
    try:
        applied = topic_apply.apply(
            admin(broker), registry_url, load_topics(), partitions=partitions, dry_run=dry_run
        )
    except topic_apply.ApplyFailed as failed:
        fail(str(failed))
    if as_json:
        sys.stdout.write(msgspec.json.encode(applied).decode() + "\n")
    else:
        _show(applied)
    if not applied.in_order:
        fail("some topics or schemas are not as topics.yaml says; they were left as they are")


def list_topics(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per topic on stdout.")] = False,
) -> None:
    """Every topic of the pipeline: what it carries, who writes and reads it, how it is on the broker.

    [bold]Example[/]: notifystream topics list
    """
    from notifystream import topic_apply
    from notifystream.connections import admin, kafka
    from schemas.topics import load_topics

    file = load_topics()
    try:
        found = topic_apply.existing_topics(admin(kafka(settings())), [str(topic) for topic in file.topics])
    except topic_apply.ApplyFailed as failed:
        fail(str(failed))
    if as_json:
        for topic, spec in file.topics.items():
            on_broker = found.get(topic)
            row = {"topic": topic, **msgspec.to_builtins(spec), "on_broker": on_broker}
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    table = Table("topic", "record", "partitions", "copies", "kept", "written by", "read by", box=None)
    for topic, spec in file.topics.items():
        on_broker = found.get(topic)
        kept = ", ".join(filter(None, ["latest per key" if spec.compact else "", spec.retention or ""]))
        table.add_row(
            topic,
            spec.record or "internal",
            str(on_broker.partitions) if on_broker is not None else "[red]missing[/]",
            str(on_broker.replication) if on_broker is not None else "",
            kept,
            ", ".join(spec.written_by),
            ", ".join(spec.read_by),
        )
    stdout.print(table)


def _show(applied: "Applied") -> None:
    would = "would create" if applied.dry_run else "created"
    if applied.embedded:
        would_touch = "would touch" if applied.dry_run else "touched"
        stderr.print(
            f"embedded broker: it cannot create topics, so {would_touch} {len(applied.touched)} "
            f"({len(applied.unchanged)} were there); partitions and settings are its own"
        )
    else:
        stderr.print(
            f"{applied.brokers} broker{'s' if applied.brokers != 1 else ''}: {would} {len(applied.created)}, "
            f"{len(applied.unchanged)} are right, {len({d.topic for d in applied.differences})} differ"
        )
    for name in applied.created or applied.touched:
        stdout.print(f"[green]+[/] {name}")
    for difference in applied.differences:
        stdout.print(f"[yellow]≠[/] {difference}")
    refused = [schema for schema in applied.schemas if schema.refused]
    stderr.print(f"schemas: {len(applied.schemas) - len(refused)} in order, {len(refused)} refused")
    for schema in refused:
        stdout.print(f"[red]✗[/] {schema.subject}: {schema.refused}")
