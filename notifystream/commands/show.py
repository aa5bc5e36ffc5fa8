"""`notifystream show`: one notification, where it stands and how it came there.

Where it stands is what the stream processors have (Kafka), how it came there what landed in ClickHouse. One
of the two is enough; what is missing is said on stderr.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from notifystream.console import WRONG_USE, fail, settings, stderr, stdout

if TYPE_CHECKING:
    from notifystream.settings import Settings
    from notifystream.standing import AttemptTold, Standing
    from sinks.analytics.timeline import Timeline


def register(app: typer.Typer) -> None:
    app.command("show")(show)


def show(
    notification_id: Annotated[str | None, typer.Argument(help="Id of the notification.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of the id: the tenant, with --key.")] = None,
    key: Annotated[str | None, typer.Option(help="Instead of the id: the idempotency key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """One notification: where it stands in words, its steps, attempts, verdicts, errors and what they mean,
    the next deadline, and its whole history.

    In JSON, `now` is what the stream processors have, everything beside it what landed in ClickHouse.

    [bold]Examples[/]

    notifystream show 4f6b0a52-7c0e-5d5c-9d0a-6f1d0f6c2b11

    notifystream show --tenant acme --key order-1017-shipped

    notifystream show --tenant acme --key order-1017-shipped --json | jq .now.in_words
    """
    from schemas.identity import notification_id as made_of

    if notification_id is None:
        if tenant is None or key is None:
            fail("name a notification: its id, or --tenant and --key of the request", WRONG_USE)
        notification_id = made_of(tenant, key)
    elif tenant is not None or key is not None:
        fail("give either the id, or --tenant and --key, not both", WRONG_USE)
    chosen = settings()
    now = _now(chosen, notification_id) if chosen.kafka_bootstrap_servers else None
    story = _story(chosen, notification_id, needed=now is None)
    if as_json:
        fields = _as_fields(notification_id, now, story)
        sys.stdout.write(json.dumps(fields, ensure_ascii=False, indent=2) + "\n")
        return
    if now is not None:
        _print_now(now)
    elif story is not None:
        _print_landed(story)
    if story is not None:
        _print_moments(story)


def _now(chosen: "Settings", notification_id: str) -> "Standing | None":
    """None when the processors have no such row, or cannot be asked: then ClickHouse is the only witness."""
    from confluent_kafka import KafkaException

    from notifystream.connections import kafka
    from notifystream.reading import BrokerSilent, NoSuchTopic
    from notifystream.rows import notification_row
    from notifystream.standing import standing_of
    from streams.store.errors import RowUnreadable

    try:
        row = notification_row(kafka(chosen), notification_id)
    except (NoSuchTopic, BrokerSilent, RowUnreadable) as wrong:
        stderr.print(f"[dim]where it stands is not known: {escape(str(wrong))}[/]")
        return None
    except KafkaException as away:
        stderr.print(f"[dim]where it stands is not known, Kafka: {escape(str(away))}[/]")
        return None
    return standing_of(row) if row is not None else None


def _story(chosen: "Settings", notification_id: str, *, needed: bool) -> "Timeline | None":
    """The history. Not `needed`: None, with a word on stderr, when there is none."""
    if not needed and not chosen.clickhouse_url:
        stderr.print("[dim]CLICKHOUSE_URL is not set: no history[/]")
        return None
    from notifystream.warehouse import clickhouse
    from sinks.analytics.errors import UnknownNotification
    from sinks.analytics.timeline import timeline

    with clickhouse() as client:
        try:
            return timeline(client, notification_id)
        except UnknownNotification as unknown:
            if needed:
                fail(str(unknown))
            stderr.print("[dim]nothing of it has landed in ClickHouse so far[/]")
            return None


def _as_fields(notification_id: str, now: "Standing | None", story: "Timeline | None") -> dict[str, Any]:
    import msgspec

    landed: dict[str, Any] = {
        "tenant": now.tenant if now else None,
        "state": None,
        "final": False,
        "moments": [],
    }
    if story is not None:
        landed = {
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
    return {"notification_id": notification_id, **landed, "now": msgspec.to_builtins(now)}


def _print_now(now: "Standing") -> None:
    ended = "final" if now.final else "open"
    stdout.print(
        f"[bold]{now.notification_id}[/] {escape(now.tenant)} {escape(now.idempotency_key)}: "
        f"[bold]{now.state}[/], {ended}"
    )
    stdout.print(f"  {escape(now.in_words)}")
    if now.next_deadline is not None:
        stdout.print(f"  next: {now.next_deadline.at}, {escape(now.next_deadline.then)}")
    table = _plain_table()
    whom = f"{now.recipient} ({now.country}, {now.carrier})"
    table.add_row("[dim]to[/]", escape(whom))
    asked = f"{now.requested_at}, {now.category}, {now.priority}"
    table.add_row(
        "[dim]requested[/]", escape(asked + (f", {now.duplicates} times more" if now.duplicates else ""))
    )
    for name, value in (("not before", now.send_at), ("expires", now.expires_at)):
        if value is not None:
            table.add_row(f"[dim]{name}[/]", value)
    for step in now.steps:
        wait = f", then {step.wait_ms / 1000:g} s" if step.wait_ms is not None else ""
        costs = f", about {step.cost}" if step.cost is not None else ""
        table.add_row(f"[dim]step {step.step}[/]", escape(f"{step.channel}: {step.says}{costs}{wait}"))
    for passed in now.passed_over:
        why = f"step {passed.step} of the chain asked for ({passed.channel}): {passed.detail}"
        table.add_row("[dim]passed over[/]", escape(why))
    for attempt in now.attempts:
        table.add_row(f"[dim]attempt {attempt.attempt}[/]", escape("\n".join(_attempt_lines(attempt))))
    stdout.print(table)


def _attempt_lines(attempt: "AttemptTold") -> list[str]:
    sid = f", {attempt.sid}" if attempt.sid is not None else ""
    lines = [f"{attempt.status}: step {attempt.step} by {attempt.channel} from {attempt.sender}{sid}"]
    admission = attempt.admission
    if admission is not None:
        reason = f" ({admission.reason})" if admission.reason is not None else ""
        until = f", until {admission.until}" if admission.until is not None else ""
        lines.append(f"{admission.at} {admission.verdict}{reason}{until}")
    moments = (
        ("commanded", attempt.commanded_at),
        ("in doubt", attempt.doubted_at),
        ("accepted", attempt.accepted_at),
        ("left for the next step", attempt.superseded_at),
    )
    lines += [f"{at} {what}" for what, at in moments if at is not None]
    for mark in attempt.statuses:
        lines.append(f"{mark.at} {mark.status}" + (f" {mark.error_code}" if mark.error_code else ""))
    error = attempt.error
    if error is not None:
        lines.append(f"ended {error.what}" + (f": {error.detail}" if error.detail is not None else ""))
        if error.code is not None:
            lines.append(f"{error.code}: {error.meaning}. {error.what_to_do}")
    return lines


def _print_landed(story: "Timeline") -> None:
    state = f"[bold]{escape(story.state)}[/]" if story.state else "no outcome yet"
    ended = "" if story.state is None else ", final" if story.final else ", open"
    stdout.print(f"[bold]{escape(story.notification_id)}[/] {escape(story.tenant or '')}: {state}{ended}")


def _print_moments(story: "Timeline") -> None:
    table = _plain_table()
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


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, show_header=False)
