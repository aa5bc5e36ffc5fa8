"""`notifystream held list | release | drop`: commands of which nobody knows whether they were sent."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from notifystream.commands.senders import By, deciding, pipeline
from notifystream.console import fail, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifystream.decisions import Who
    from notifystream.sending_state import HeldCommand
    from schemas.clients import Kafka
    from schemas.codec import Codec
    from schemas.records import OutboundControl

Ids = Annotated[list[str], typer.Argument(metavar="COMMAND…", help="As in `list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What may have been sent and was found nowhere: list, release, drop.", no_args_is_help=True
    )
    group.command("list")(list_held)
    group.command("release")(release)
    group.command("drop")(drop)
    app.add_typer(group, name="held")


def list_held(
    sender: Annotated[str | None, typer.Option(help="Only this sender's.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every held command: whose it is, to whom, since when, and why it is held; the longest held first.

    A call was made for each and its answer got lost, or its process ended; the provider was asked, and what
    it has proves neither that the message exists nor that it does not. It is asked again once an hour for a
    day, and a late callback settles it at any time. The rest is for you: look in the provider's own log.

    [bold]Examples[/]

    notifystream held list

    notifystream held list --tenant acme --json
    """
    from notifystream import sending_views

    with pipeline() as (kafka, codec):
        found = tuple(
            each
            for each in _held(kafka, codec)
            if sender in (None, each.entry.sender) and tenant in (None, each.entry.tenant)
        )
    if as_json:
        rows = [sending_views.held_fields(each) for each in found]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
    elif found:
        for each in found:
            for line in sending_views.held_lines(each):
                stdout.print(escape(line), soft_wrap=True)
        stderr.print(
            f"{len(found)} held; decide with: notifystream held release COMMAND, or held drop COMMAND"
        )
    else:
        stdout.print("Nothing is held.")


def release(
    ids: Ids,
    reason: Annotated[
        str, typer.Option("--reason", help="How you know that it was not sent, or why you take the risk.")
    ],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Take held commands for NOT sent, so that each may be tried again as its tenant's policy says.

    [bold red]This can send twice.[/] You vouch that the provider never took the message, having looked there,
    or you take the risk that the person gets it twice: nothing checks it after you. Your name and reason
    are kept with it. When you do not know, and a second message would be worse than none, use `drop`.

    [bold]Examples[/]

    notifystream held release 4e794e8c-29e3-585b-924d-12dbbbed3d04:1 --reason "not in Twilio's log at 14:05"
    """
    from notifystream import decisions

    _decide(ids, deciding(by, reason), decisions.release, "to be taken for not sent", as_json)


def drop(
    ids: Ids,
    reason: Annotated[str, typer.Option("--reason", help="Why it stays unknown.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give held commands up: they are never sent again, and stay unconfirmed for good.

    A callback that comes all the same still counts for the notification.

    [bold]Examples[/]

    notifystream held drop 4e794e8c-29e3-585b-924d-12dbbbed3d04:1 --reason "the appointment is over"
    """
    from notifystream import decisions

    _decide(ids, deciding(by, reason), decisions.drop, "given up", as_json)


def _decide(
    ids: list[str], who: "Who", make: "Callable[[str, Who], OutboundControl]", what: str, as_json: bool
) -> None:
    from notifystream.decisions import Held, NotDecided, write_decisions

    wanted = list(dict.fromkeys(ids))
    with pipeline() as (kafka, codec):
        held = {each.entry.command_id: each for each in _held(kafka, codec)}
        missing = [each for each in wanted if each not in held]
        if missing:
            fail(
                f"not held, or not any more: {', '.join(missing)}; nothing was decided. "
                "See: notifystream held list"
            )
        before = [each for each in wanted if held[each].decided is not None]
        if before:
            fail(f"decided already, and about to be carried out: {', '.join(before)}; nothing was changed")
        try:
            write_decisions(
                kafka, codec, [(Held(each, held[each].partition), make(each, who)) for each in wanted]
            )
        except NotDecided as why:
            fail(str(why))
    if as_json:
        sys.stdout.write(json.dumps([{"command_id": each, "decided": what} for each in wanted]) + "\n")
    else:
        for each in wanted:
            stdout.print(f"{each} is {what}", soft_wrap=True)
        stderr.print("Its sender's owner carries it out within seconds: see notifystream held list")


def _held(kafka: "Kafka", codec: "Codec") -> "tuple[HeldCommand, ...]":
    from notifystream.sending_state import held_commands

    counted = TextColumn("{task.completed:,.0f} journal entries read")
    with Progress(SpinnerColumn(), counted, TimeElapsedColumn(), console=stderr, transient=True) as progress:
        task = progress.add_task("read", total=None)
        return held_commands(kafka, codec, lambda number: progress.update(task, completed=number))
