"""`notifystream consent show|export|import`: the consent ledger, for people and for files."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import msgspec
import typer
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from notifystream.console import WRONG_USE, fail, settings, stderr, stdout
from notifystream.events import BadEvent, BadRow
from notifystream.masking import mask_text

if TYPE_CHECKING:
    from notifystream.consent_rows import Row
    from schemas.records import ConsentChange
    from streams.consent import Ledger

# More lines than this are counted, not listed.
_LISTED = 50
_STDIO = Path("-")

Tenant = Annotated[str | None, typer.Option(help="Only this tenant, and what binds all of them.")]


def register(app: typer.Typer) -> None:
    consent = typer.Typer(
        help="Who may no longer be written to, since when, and on what evidence.",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    consent.command("show")(show)
    consent.command("export")(export)
    consent.command("import")(import_file)
    app.add_typer(consent, name="consent")


def show(
    person: Annotated[str, typer.Argument(metavar="RECIPIENT", help="E.164, as +14155550123.")],
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """One person's consent: what is in force, and the changes before it that are still known.

    [bold]Examples[/]

    notifystream consent show +14155550123

    notifystream consent show +14155550123 --tenant acme --json
    """
    from notifystream.consent_rows import recipient
    from streams.consent import in_force

    try:
        number = recipient(person)
    except BadEvent as bad:
        fail(str(bad), WRONG_USE)
    found = _read(lambda change: change.recipient == number and _of(change, tenant))
    ledger = found.get(number, ())
    current = in_force(ledger)
    earlier = tuple(change for change in ledger if change not in current)
    if as_json:
        answer = {"recipient": number, "in_force": current, "earlier": earlier}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    elif not ledger:
        stdout.print(f"Nothing is known of {mask_text(number)}: no opt-out, no opt-in, no suppression.")
    else:
        stdout.print(_table("In force", current))
        if earlier:
            stdout.print(_table("Before", earlier))


def export(
    file: Annotated[Path, typer.Argument(help="CSV file to write, or - for stdout.")],
    tenant: Tenant = None,
) -> None:
    """Write the changes in force of everybody as CSV; it holds whole phone numbers.

    [bold]Examples[/]

    notifystream consent export consents.csv --tenant acme

    notifystream consent export - | wc -l
    """
    from notifystream.consent_rows import write
    from streams.consent import in_force

    found = _read(lambda change: _of(change, tenant))
    current = (change for number in sorted(found) for change in in_force(found[number]))
    if file == _STDIO:
        written = write(current, sys.stdout)
        sys.stdout.flush()
    else:
        try:
            # Numbers are in it: nobody else on the machine reads them.
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(opened, "w", encoding="utf-8", newline="") as out:
                written = write(current, out)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}", WRONG_USE)
    stderr.print(f"{written} changes in force of {len(found)} people")


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV file to read, or - for stdin.")],
    tenant: Annotated[str | None, typer.Option(help="For lines without one; * for all tenants.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="import: what people said elsewhere, until they say otherwise. suppression: the tenant's "
            "own list, which no START lifts. As each line says when left out, else import."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every line, write nothing.")] = False,
) -> None:
    """Hand changes of consent in from a CSV file; they hold as soon as the stream processors read them.

    Columns: recipient, tenant, group (sms, which covers mms and rcs; whatsapp), state (opted_out, opted_in),
    at; and if you like sender (none: all senders), words, evidence, source. A bad line is reported with its
    number and does not stop the others; the exit code is then 1. A file that is imported again changes
    nothing; a line that is older than what is known changes nothing that is in force.

    [bold]Examples[/]

    notifystream consent import optouts.csv --dry-run

    notifystream consent import litigators.csv --tenant acme --source suppression
    """
    from notifystream.consent_rows import SOURCES, Defaults, rows

    if source is not None and source not in SOURCES:
        fail(f"--source {source!r} is unknown; known are {', '.join(SOURCES)}", WRONG_USE)
    defaults = Defaults(
        tenant=tenant,
        source=source,
        evidence=None if file == _STDIO else file.name,
        now=int(time.time() * 1000),
    )
    with _opened(file) as lines:
        parsed = _utf8(rows(lines, defaults), file)
        if dry_run:
            good, bad = _check(parsed)
            stderr.print(f"{good} changes could be written; nothing was")
        else:
            good, bad = _hand_in(parsed)
            stderr.print(f"{good} changes written to consent.evidence")
    if bad:
        listed = [f"line {row.line}: {row.reason}" for row in sorted(bad, key=lambda row: row.line)]
        more = [f"… and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
        fail("\n".join([f"{len(listed)} not written:", *listed[:_LISTED], *more]))


def _check(parsed: "Iterator[Row]") -> tuple[int, list[BadRow]]:
    read, bad = 0, []
    with _progress("lines checked", TextColumn("{task.completed:,.0f}")) as progress:
        task = progress.add_task("check", total=None)
        for row in parsed:
            read += 1
            if isinstance(row, BadRow):
                bad.append(row)
            progress.update(task, completed=read)
    return read - len(bad), bad


def _hand_in(parsed: "Iterator[Row]") -> tuple[int, list[BadRow]]:
    from notifystream.connections import codec, kafka
    from notifystream.consent_topics import hand_in
    from notifystream.publishing import Publication

    chosen = settings()
    broker = kafka(chosen)
    with contextlib.closing(codec(chosen)) as records, _progress("written", MofNCompleteColumn()) as progress:
        task = progress.add_task("import", total=None)

        def moved(so_far: Publication) -> None:
            progress.update(task, completed=so_far.acknowledged, total=so_far.read)

        done = hand_in(broker, records, parsed, moved)
    return done.acknowledged, done.problems


def _read(wanted: "Callable[[ConsentChange], bool]") -> "Mapping[str, Ledger]":
    from notifystream.connections import codec, kafka
    from notifystream.consent_topics import ledgers
    from notifystream.reading import BrokerSilent, NoSuchTopic

    chosen = settings()
    broker = kafka(chosen)
    counted = TextColumn("{task.completed:,.0f}")
    try:
        with contextlib.closing(codec(chosen)) as records, _progress("changes read", counted) as progress:
            task = progress.add_task("read", total=None)
            return ledgers(broker, records, wanted, lambda n: progress.update(task, completed=n))
    except (NoSuchTopic, BrokerSilent) as wrong:
        fail(str(wrong))


def _progress(what: str, counted: TextColumn | MofNCompleteColumn) -> Progress:
    return Progress(
        SpinnerColumn(), counted, TextColumn(what), TimeElapsedColumn(), console=stderr, transient=True
    )


def _of(change: "ConsentChange", tenant: str | None) -> bool:
    from streams.policy import EVERY_TENANT

    return tenant is None or change.tenant in (tenant, EVERY_TENANT)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if file == _STDIO:
        yield sys.stdin
        return
    try:
        # newline="" leaves line breaks inside quoted cells to the csv module; BOMs come from spreadsheets.
        opened = file.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USE)
    with opened:
        yield opened


def _utf8(parsed: "Iterator[Row]", file: Path) -> "Iterator[Row]":
    try:
        yield from parsed
    except UnicodeDecodeError as broken:
        fail(f"{file} is not UTF-8: {broken}")


def _table(title: str, changes: "Ledger") -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading in ("tenant", "group", "senders", "state", "since", "source", "words", "evidence"):
        table.add_column(heading, overflow="fold")
    for change in changes:
        state = f"[red]{change.state}[/]" if change.state == "opted_out" else f"[green]{change.state}[/]"
        since = f"{datetime.fromtimestamp(change.at / 1000).astimezone():%Y-%m-%d %H:%M:%S %z}"
        sender = mask_text(change.sender) or "all"
        told = (change.source, change.words or "–", change.evidence or "–")
        table.add_row(
            escape(change.tenant), change.channel_group, escape(sender), state, since, *map(escape, told)
        )
    return table
