"""`notifystream send`: one notify event from options, or many from a file."""

import contextlib
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from notifystream.console import WRONG_USE, fail, settings, stderr
from notifystream.events import (
    BadEvent,
    GoodRow,
    Row,
    from_csv,
    from_json_lines,
    from_values,
    moment,
    pairs,
)
from notifystream.events import step as parsed_step

# More lines than this are counted, not listed: the first ones usually say what is wrong with all.
_LISTED = 50


def register(app: typer.Typer) -> None:
    app.command("send")(send)


def send(
    tenant: Annotated[
        str | None, typer.Option(help="Who asks; for lines of a file without one, too.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency key: the same key is the same notification. Random without."),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Recipient in E.164, or national together with --region.")
    ] = None,
    body: Annotated[str | None, typer.Option(help="The text.")] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="sms, mms, whatsapp or rcs; repeat for fallbacks, in order. Without: the tenant's chain for "
            "the category, else sms."
        ),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHANNEL[:TIME]",
            help="Instead of --channel: a step, and how long (90s, 5m) its delivery is waited for before the "
            "next; repeat, in order.",
        ),
    ] = None,
    smart_encoding: Annotated[
        bool | None,
        typer.Option(
            "--smart-encoding/--no-smart-encoding",
            help="Replace characters that would make it UCS-2 by similar ones; else as the tenant has it.",
        ),
    ] = None,
    category: Annotated[str, typer.Option(help="otp, transactional or marketing.")] = "transactional",
    priority: Annotated[str, typer.Option(help="urgent, normal or bulk.")] = "normal",
    template: Annotated[
        str | None, typer.Option(help="Template name or ContentSid, instead of --body.")
    ] = None,
    var: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Template variable.")] = None,
    locale: Annotated[str, typer.Option(help="Locale of the template.")] = "en",
    media: Annotated[list[str] | None, typer.Option(metavar="URL", help="Media to attach.")] = None,
    region: Annotated[str | None, typer.Option(help="ISO country of a recipient written without +.")] = None,
    sender: Annotated[str | None, typer.Option(help="Sender to use instead of the default.")] = None,
    send_at: Annotated[str | None, typer.Option(help="Not before this time (ISO 8601).")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Worthless after this time (ISO 8601).")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Label of yours, returned on the outcome.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Events from a .csv or .jsonl file, or - for stdin (JSON lines).")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv or jsonl, when the file's name does not say.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event on stdout.")] = False,
) -> None:
    """Write notify events and wait until the broker has them; prints their notification ids.

    A bad line of a file is reported with its number and does not stop the others; the exit code is then 1.

    [bold]Examples[/]

    notifystream send --tenant acme --key order-1 --to +14155550123 --body "Your order is on its way"

    notifystream send --tenant acme --to +14155550123 --body "Code 4711" --step whatsapp:90s --step sms

    notifystream send --file events.csv --tenant acme

    some-command | notifystream send --file - --json
    """
    if file is not None:
        given = {"--key": key, "--to": to, "--body": body, "--template": template}
        both = [name for name, value in given.items() if value is not None]
        if both:
            fail(f"--file and {', '.join(both)} exclude each other: the file has these values", WRONG_USE)
        with _opened(file) as lines:
            _publish(_rows(lines, file, file_format, tenant), as_json=as_json)
        return
    try:
        request = from_values(
            {
                "tenant": tenant,
                "key": key or f"cli-{uuid.uuid4()}",
                "to": to,
                "body": body,
                "channels": channel or [],
                "steps": [parsed_step(text) for text in step or ()],
                "smart_encoding": smart_encoding,
                "category": category,
                "priority": priority,
                "template": {"name": template, "variables": pairs(var or (), "--var"), "locale": locale}
                if template is not None
                else None,
                "media_urls": media or [],
                "region": region,
                "sender": sender,
                "send_at": moment(send_at) if send_at is not None else None,
                "expires_at": moment(expires_at) if expires_at is not None else None,
                "metadata": pairs(metadata or (), "--metadata"),
            },
            default_tenant=None,
        )
    except BadEvent as bad:
        fail(f"{bad}. See: notifystream send --help", WRONG_USE)
    if var and template is None:
        fail("--var fills a template; give --template, too", WRONG_USE)
    _publish([GoodRow(1, request)], as_json=as_json)


def _publish(rows: Iterable[Row], *, as_json: bool) -> None:
    from notifystream.connections import codec, kafka
    from notifystream.publishing import Publication, publish

    chosen = settings()
    broker = kafka(chosen)

    def acknowledged(row: GoodRow, notification: str) -> None:
        if as_json:
            result = {
                "line": row.line,
                "notification_id": notification,
                "tenant": row.request.tenant,
                "key": row.request.idempotency_key,
            }
            sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        else:
            sys.stdout.write(notification + "\n")

    with (
        contextlib.closing(codec(chosen)) as records,
        Progress(
            SpinnerColumn(),
            TextColumn("sending"),
            MofNCompleteColumn(),
            TextColumn("acknowledged"),
            TimeElapsedColumn(),
            console=stderr,
            transient=True,
        ) as progress,
    ):
        task = progress.add_task("send", total=None)

        def show(so_far: Publication) -> None:
            progress.update(task, completed=so_far.acknowledged, total=so_far.read)

        done = publish(broker, records, rows, on_acknowledged=acknowledged, on_progress=show)
    sys.stdout.flush()
    stderr.print(f"{done.acknowledged} of {done.read} written to notify.requested")
    if done.problems:
        listed = [f"line {bad.line}: {bad.reason}" for bad in sorted(done.problems, key=lambda b: b.line)]
        more = [f"… and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
        fail("\n".join([f"{len(listed)} not written:", *listed[:_LISTED], *more]))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        # newline="" leaves line breaks inside quoted CSV cells to the csv module; BOMs come from
        # spreadsheets.
        opened = file.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USE)
    with opened:
        yield opened


def _rows(lines: TextIO, file: Path, file_format: str | None, tenant: str | None) -> Iterator[Row]:
    chosen = file_format or {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}.get(
        file.suffix.lower(), "jsonl" if str(file) == "-" else ""
    )
    if chosen not in ("csv", "jsonl"):
        fail(f"{file}: is it csv or jsonl? Say so with --format", WRONG_USE)
    parse = from_csv if chosen == "csv" else from_json_lines
    try:
        yield from parse(lines, default_tenant=tenant)
    except UnicodeDecodeError as broken:
        fail(f"{file} is not UTF-8: {broken}")
