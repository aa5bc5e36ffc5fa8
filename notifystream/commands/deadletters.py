"""`notifystream deadletters list | show | replay`: records that nobody could read, and their way back."""

import contextlib
import json
import re
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from notifystream.console import WRONG_USE, fail, settings, stderr, stdout
from notifystream.masking import mask_value

if TYPE_CHECKING:
    from notifystream.letters import Filters, Heading, Overview
    from notifystream.positions import Position
    from schemas.clients import Kafka
    from schemas.codec import Codec

Reason = Annotated[str | None, typer.Option(help="Only with this reason, e.g. not-avro.")]
Stage = Annotated[str | None, typer.Option(help="Only given up by this stage, e.g. streams.intake.")]
FromTopic = Annotated[str | None, typer.Option(help="Only read from this topic.")]
SinceTime = Annotated[
    str | None, typer.Option(help="Only since then: 24h, 30m, 7d ago, or an ISO 8601 time.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

_LISTED = 50


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What nobody could read: list, show, replay.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    app.add_typer(group, name="deadletters")


def list_letters(
    reason: Reason = None,
    stage: Stage = None,
    topic: FromTopic = None,
    since: SinceTime = None,
    pending: Annotated[bool, typer.Option("--pending", help="Only what was not replayed.")] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Only how many, by stage, reason, topic.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many; 0 for all.")] = _LISTED,
    as_json: AsJson = False,
) -> None:
    """What was given up, by whom and why, the newest last.

    [bold]Examples[/]

    notifystream deadletters list

    notifystream deadletters list --stage streams.intake --since 24h --pending

    notifystream deadletters list --counts --json
    """
    from dataclasses import replace

    from notifystream import letter_views
    from notifystream.letters import Filters

    with _pipeline() as (kafka, codec):
        found = _overview(kafka, codec, Filters(reason=reason, stage=stage, topic=topic), since)
    if pending:
        found = replace(found, letters=tuple(each for each in found.letters if each.replayed_ms is None))
    rows = letter_views.counts(found)
    shown = found.letters[-limit:] if limit else found.letters
    if as_json:
        _write_json(rows if counts else [letter_views.fields(each) for each in shown])
    elif found.letters:
        stdout.print(letter_views.counts_table(rows) if counts else letter_views.table(shown))
        if len(shown) < len(found.letters) and not counts:
            stderr.print(f"… and {len(found.letters) - len(shown)} older; --limit 0 lists all")
        stderr.print(escape(letter_views.summary(found)))
    else:
        stdout.print("No dead letters." if not found.unreadable else "No dead letters that can be read.")
    if found.unreadable:
        stderr.print(f"{found.unreadable} records of dead.letters cannot be read themselves")


def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As in `list`, e.g. 3@17.")],
    show_numbers: Annotated[bool, typer.Option("--show-numbers", help="Do not mask phone numbers.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="The kept bytes as they are on stdout: may hold numbers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """All of one dead letter: why, where it was, and its record, decoded when that works by now.

    [bold]Examples[/]

    notifystream deadletters show 3@17

    notifystream deadletters show 3@17 --raw > record.bin
    """
    from notifystream import letter_views
    from notifystream.letters import Filters, letters

    wanted = _ids([letter_id])
    with _pipeline() as (kafka, codec):
        found = _overview(kafka, codec, Filters(ids=wanted), None)
        letter = next((each for _, each in letters(kafka, codec, wanted)), None)
        if letter is None or not found.letters:
            fail(f"there is no dead letter {letter_id}; see: notifystream deadletters list")
        if raw:
            sys.stdout.buffer.write(letter.value or b"")
            return
        fields = letter_views.fields(found.letters[0], whole=True) | letter_views.content(letter, codec)
    fields = fields if show_numbers else mask_value(fields)
    if as_json:
        _write_json(fields)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        table.add_row(f"[dim]{escape(name)}[/]", escape("–" if value is None else text))
    stdout.print(table)


def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="As in `list`.")] = None,
    reason: Reason = None,
    stage: Stage = None,
    topic: FromTopic = None,
    since: SinceTime = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, write nothing.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write records back to the topic they were read from, with their key, after a fix.

    What was replayed is remembered, so that a second replay leaves it out. What is not whole any more, or
    came by a webhook, or stood in a topic that keeps the last record of each key, cannot be replayed: it is
    said, the others go on, and the exit code is 1.

    [bold]Examples[/]

    notifystream deadletters replay 3@17 0@4

    notifystream deadletters replay --stage streams.intake --reason unknown-schema --dry-run

    notifystream deadletters replay --topic notify.requested --since 2h
    """
    from notifystream.letters import Filters

    if not ids and (reason, stage, topic, since) == (None, None, None, None):
        fail("say which: ids, or at least one of --reason, --stage, --topic, --since", WRONG_USE)
    filters = Filters(_ids(ids) if ids else None, reason, stage, topic)
    with _pipeline() as (kafka, codec):
        found = _overview(kafka, codec, filters, since)
        missing = sorted((filters.ids or frozenset()) - {each.id for each in found.letters})
        if missing:
            fail(f"there is no dead letter {', '.join(map(str, missing))}; nothing was replayed")
        _replay(kafka, codec, found, dry_run=dry_run, again=again, as_json=as_json)


def _replay(
    kafka: "Kafka", codec: "Codec", found: "Overview", *, dry_run: bool, again: bool, as_json: bool
) -> None:
    from notifystream.letter_views import clock
    from notifystream.letters import first_of_each

    chosen = list(first_of_each(found.letters))
    blocked = [each for each in chosen if each.obstacle is not None]
    before = [each for each in chosen if each.obstacle is None and each.replayed_ms is not None and not again]
    due = [each for each in chosen if each.obstacle is None and (each.replayed_ms is None or again)]
    for each in blocked:
        _tell(each, "cannot be replayed", each.obstacle or "", as_json)
    for each in before:
        _tell(each, "already replayed", f"at {clock(each.replayed_ms)}; --again does it again", as_json)
    done = 0
    if dry_run:
        for each in due:
            _tell(each, "would be replayed", f"to {each.origin.topic}", as_json)
    elif due:
        done = _write_back(kafka, codec, due, as_json)
    copies = len(found.letters) - len(chosen)
    stderr.print(
        f"{len(due) if dry_run else done} {'would be ' if dry_run else ''}replayed, "
        f"{len(before)} already were, {len(blocked)} cannot be"
        + (f"; {copies} are copies of these" if copies else "")
    )
    if blocked:
        fail(f"{len(blocked)} of {len(chosen)} cannot be replayed, for the reasons above")


def _write_back(kafka: "Kafka", codec: "Codec", due: "list[Heading]", as_json: bool) -> int:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from notifystream.letters import letters
    from notifystream.replaying import Replayer, ReplayFailed, batches, now_ms

    headings = {each.id: each for each in due}
    done = 0
    with Progress(
        SpinnerColumn(), TextColumn("replaying"), MofNCompleteColumn(), console=stderr, transient=True
    ) as progress:
        task = progress.add_task("replay", total=len(due))
        try:
            with Replayer(kafka, codec) as replayer:
                for batch in batches(letters(kafka, codec, headings)):
                    replayer.replay(batch, now_ms())
                    done += len(batch)
                    progress.update(task, completed=done)
                    for identity, letter in batch:
                        _tell(headings[identity], "replayed", f"to {letter.topic}", as_json)
        except ReplayFailed as failed:
            fail(f"{done} of {len(due)} replayed, then: {failed}")
    return done


@contextlib.contextmanager
def _pipeline() -> "Iterator[tuple[Kafka, Codec]]":
    """Broker and codec; what is expected to go wrong ends the command with a sentence."""
    from notifystream.connections import codec, kafka
    from notifystream.reading import BrokerSilent, NoSuchTopic

    chosen = settings()
    broker = kafka(chosen)
    try:
        with contextlib.closing(codec(chosen)) as records:
            yield broker, records
    except (NoSuchTopic, BrokerSilent) as wrong:
        fail(str(wrong))


def _overview(kafka: "Kafka", codec: "Codec", filters: "Filters", since: str | None) -> "Overview":
    from notifystream.letters import overview
    from notifystream.positions import Edge

    return overview(kafka, codec, filters, _position(since) if since is not None else Edge(beginning=True))


def _position(since: str) -> "Position":
    from notifystream.positions import BadPosition, Since, parse

    try:
        found = parse(f"-{since}" if re.fullmatch(r"\d+[smhd]", since) else since, int(time.time() * 1000))
    except BadPosition:
        found = None
    if not isinstance(found, Since):
        fail(f"--since {since!r} is no time: write 24h, 30m, 7d or 2026-11-20T08:00", WRONG_USE)
    return found


def _ids(texts: list[str]) -> "frozenset[Any]":
    from notifystream.letters import BadLetterId, LetterId

    try:
        return frozenset(LetterId.parse(text) for text in texts)
    except BadLetterId as wrong:
        fail(str(wrong), WRONG_USE)


def _tell(heading: "Heading", what: str, why: str, as_json: bool) -> None:
    if as_json:
        row = {"id": str(heading.id), "topic": heading.origin.topic, "result": what, "detail": why}
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        stdout.print(f"{heading.id} {what}: {escape(why)}", soft_wrap=True)


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
