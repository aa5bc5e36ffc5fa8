"""`notifystream senders [pause | resume]`: what every sender does now, and stopping it."""

import contextlib
import getpass
import json
import re
import sys
import time
from collections.abc import Iterator
from socket import gethostname
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from notifystream.console import WRONG_USE, fail, settings, stderr, stdout
from notifystream.masking import mask_text

if TYPE_CHECKING:
    from notifystream.decisions import Who
    from schemas.clients import Kafka
    from schemas.codec import Codec
    from schemas.records import OutboundControl
    from schemas.vocabulary import ControlScope

Sender = Annotated[
    str | None, typer.Argument(metavar="SENDER", help="Number, short code, name or MG…, as in the list.")
]
Tenant = Annotated[str | None, typer.Option(help="All that this tenant sends, by whatever sender.")]
Provider = Annotated[str | None, typer.Option(help="All that goes by this provider, e.g. twilio.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: whoever looks later will want to know.")]
By = Annotated[str | None, typer.Option(help="Who decides; you on this host when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

_SPAN = re.compile(r"(\d+)([smhd])")
_SPAN_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True)
    group.callback()(senders)
    group.command("pause")(pause)
    group.command("resume")(resume)
    app.add_typer(group, name="senders")


def senders(
    context: typer.Context,
    tell: Annotated[str | None, typer.Option("--sender", metavar="SENDER", help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """What every sender does now, and what is paused; pause and resume.

    Its rate and the one it is set to, what waits by lane with the age of the oldest, calls in flight,
    commands in doubt and held, segments of the day; and who is paused by whom, why and until when. Owners
    (named in the JSON) tell every few seconds what has changed; one that has not been seen for 20 minutes
    is gone.

    [bold]Examples[/]

    notifystream senders

    notifystream senders --json --sender +14155550100

    notifystream senders pause +14155550100 --reason "the carrier asks about a campaign" --for 2h

    notifystream senders resume --all --reason "incident over"
    """
    if context.invoked_subcommand is not None:
        return
    from notifystream import sending_views
    from notifystream.sending_state import decided, sender_states

    now = _now_ms()
    with pipeline() as (kafka, codec):
        states = tuple(s for s in sender_states(kafka, codec) if tell in (None, s.sender))
        pauses = decided(kafka, codec).pauses(now)
    if as_json:
        answer = {
            "senders": [sending_views.sender_fields(each, now) for each in states],
            "pauses": [sending_views.pause_fields(each) for each in pauses],
        }
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
        return
    if states:
        stdout.print(sending_views.senders_table(states, now))
        for state in states:
            for why in sending_views.holding(state, now):
                stdout.print(f"{escape(state.sender)} waits: {escape(why)}", soft_wrap=True)
    else:
        stdout.print(
            "No sender has told of itself." if tell is None else f"Nothing is known of {escape(tell)}."
        )
    if pauses:
        stdout.print()
        stdout.print(sending_views.pauses_table(pauses, now))
    held = sum(state.held for state in states)
    if held:
        stderr.print(f"{held} commands are held; see: notifystream held list")


def pause(
    reason: Reason,
    sender: Sender = None,
    tenant: Tenant = None,
    provider: Provider = None,
    everything: Everything = False,
    for_time: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Ends by itself after 30m, 2h, 1d.")
    ] = None,
    by: By = None,
) -> None:
    """Send nothing more by this sender, of this tenant, by this provider, or at all.

    What waits goes on waiting, and expires at its own time; calls that are under way are finished. The pause
    holds until it is resumed or its time is over, also through restarts of the processes that send. A second
    one for the same takes the first one's place.

    [bold]Examples[/]

    notifystream senders pause +14155550100 --reason "the carrier asks about Tuesday's campaign"

    notifystream senders pause --tenant acme --reason "their list is being checked" --for 4h

    notifystream senders pause --all --reason "incident 4711"
    """
    from notifystream import decisions

    scope, target = _meant(sender, tenant, provider, everything)
    who = deciding(by, reason)
    until = who.at + _length_ms(for_time) if for_time is not None else None
    control = decisions.pause(scope, target, who, until)
    known = _write(control)
    stdout.print(
        f"{_named(control)} is paused{'' if for_time is None else f' for {for_time}'}", soft_wrap=True
    )
    if not known:
        stderr.print(
            f"note: no sender {escape(target)} has told of itself so far; it is paused all the same",
            soft_wrap=True,
        )


def resume(
    sender: Sender = None,
    tenant: Tenant = None,
    provider: Provider = None,
    everything: Everything = False,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "resumed",
    by: By = None,
) -> None:
    """End a pause: one that a person began, or one that the sender's owner began over a refusal.

    Only the pause of exactly this: what is paused by its tenant or with everything stays so.

    [bold]Examples[/]

    notifystream senders resume +14155550100 --reason "the campaign is registered now"

    notifystream senders resume --all --reason "incident 4711 is over"
    """
    from notifystream import decisions

    scope, target = _meant(sender, tenant, provider, everything)
    control = decisions.resume(scope, target, deciding(by, reason))
    _write(control)
    stdout.print(f"{_named(control)} is resumed", soft_wrap=True)


def _write(control: "OutboundControl") -> bool:
    """Write a decision. Whether what it is about is known, as far as that can be told."""
    from notifystream.decisions import NotDecided, write_pauses
    from notifystream.sending_state import sender_states
    from schemas.vocabulary import ControlScope

    with pipeline() as (kafka, codec):
        try:
            write_pauses(kafka, codec, control)
        except NotDecided as why:
            fail(str(why))
        if control.scope is not ControlScope.SENDER:
            return True
        return any(state.sender == control.target for state in sender_states(kafka, codec))


def _meant(
    sender: str | None, tenant: str | None, provider: str | None, everything: bool
) -> "tuple[ControlScope, str]":
    from schemas.vocabulary import ControlScope

    given: list[tuple[ControlScope, str]] = [
        (scope, name)
        for scope, name in (
            (ControlScope.SENDER, sender),
            (ControlScope.TENANT, tenant),
            (ControlScope.PROVIDER, provider),
        )
        if name is not None
    ]
    if everything:
        given.append((ControlScope.EVERYTHING, ""))
    if len(given) != 1 or (given[0][1].strip() == "" and not everything):
        fail("say what: a SENDER, or one of --tenant NAME, --provider NAME, --all", WRONG_USE)
    return given[0]


def _named(control: "OutboundControl") -> str:
    return escape(f"{control.scope} {control.target}".strip())


def deciding(by: str | None, reason: str) -> "Who":
    """Who decides what a command writes, now. Ends the command when that is not known."""
    from notifystream.decisions import Who

    if not reason.strip():
        fail("--reason is empty: say why, whoever looks later will want to know", WRONG_USE)
    if by is None:
        try:
            by = f"{getpass.getuser()}@{gethostname()}"
        except (KeyError, OSError):
            fail("this system does not know who you are; say it: --by NAME", WRONG_USE)
    return Who(mask_text(by.strip()), mask_text(reason.strip()), _now_ms())


@contextlib.contextmanager
def pipeline() -> "Iterator[tuple[Kafka, Codec]]":
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


def _length_ms(text: str) -> int:
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        fail(f"--for {text!r} is no length of time: write 45s, 30m, 2h or 1d", WRONG_USE)
    return int(found[1]) * _SPAN_MS[found[2]]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
