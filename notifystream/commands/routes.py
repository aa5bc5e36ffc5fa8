"""`notifystream routes`: how every route delivers, and on what evidence."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from notifystream.commands.senders import pipeline
from notifystream.console import stdout
from schemas.vocabulary import RouteStatus

if TYPE_CHECKING:
    from schemas.clients import Kafka
    from schemas.codec import Codec
    from schemas.records import RouteHealth

_COLOUR = {RouteStatus.HEALTHY: "green", RouteStatus.DEGRADED: "yellow", RouteStatus.DOWN: "red"}
_RANK = {RouteStatus.DOWN: 0, RouteStatus.DEGRADED: 1, RouteStatus.HEALTHY: 2}


def register(app: typer.Typer) -> None:
    app.command("routes")(routes)


def routes(
    status: Annotated[RouteStatus | None, typer.Option(help="Only these.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON: one array of objects.")] = False,
) -> None:
    """How every route (tenant, sender, carrier, country) delivers: healthy, degraded or down, and why.

    Of the messages a look counts, the part delivered in time with its 95 %
    interval, the part its own baseline is, and the errors that ended the
    others. What is told is minutes old: `seen` says how many. The service that
    looks is `notifystream health`.

    [bold]Examples[/]

    notifystream routes

    notifystream routes --status down

    notifystream routes --tenant acme --json
    """
    with pipeline() as (kafka, codec):
        known = _last(kafka, codec)
    told = [each for each in known if status in (None, each.status) and tenant in (None, each.tenant)]
    if as_json:
        sys.stdout.write(json.dumps([_fields(each) for each in told], ensure_ascii=False) + "\n")
    elif told:
        stdout.print(_table(told, time.time_ns() // 1_000_000))
    elif known:
        of_whom = "" if tenant is None else f" of tenant {escape(tenant)}"
        like = "" if status is None else f" that is {status}"
        stdout.print(f"No route is known{of_whom}{like}; there are {len(known)} in all.")
    else:
        stdout.print("No route is known: `notifystream health` looks at them, where enough is sent to tell.")


def _last(kafka: "Kafka", codec: "Codec") -> "list[RouteHealth]":
    """The last record of every route, the worst first. Raises what `reading.read` raises."""
    from notifystream.positions import Edge
    from notifystream.reading import read
    from schemas.records import RouteHealth
    from schemas.topics import Topic

    found: dict[str, RouteHealth] = {}
    for seen in read(kafka, codec, Topic.ROUTE_HEALTH, Edge(beginning=True), follow=False):
        if seen is not None and isinstance(seen.content, RouteHealth):
            found[seen.content.route] = seen.content
    return sorted(found.values(), key=lambda r: (_RANK[r.status], r.tenant, r.country, r.carrier, r.sender))


def _fields(told: "RouteHealth") -> dict[str, Any]:
    from notifystream.sending_views import clock

    fields: dict[str, Any] = msgspec.to_builtins(told)
    for name in ("since", "at", "window_from", "window_until"):
        fields[name] = clock(fields[name])
    return fields


def _table(told: "list[RouteHealth]", now: int) -> Table:
    from notifystream.sending_views import span

    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("route", "status", "since", "why", "counted", "in time", "usual", "errors", "seen"):
        right = name in ("counted", "in time", "usual")
        made.add_column(name, justify="right" if right else "left", overflow="fold")
    for each in told:
        interval = (
            "–"
            if each.rate is None or each.rate_low is None or each.rate_high is None
            else f"{each.rate:.0%} ({each.rate_low:.0%}–{each.rate_high:.0%})"
        )
        made.add_row(
            escape(f"{each.tenant} {each.sender}\n{each.country} {each.carrier}"),
            f"[{_COLOUR[each.status]}]{each.status}[/]",
            span(now - each.since),
            escape(each.reason),
            str(each.counted),
            interval,
            "–" if each.baseline is None else f"{each.baseline:.0%}",
            escape("\n".join(f"{error.code or 'none'} × {error.count}" for error in each.errors)),
            span(now - each.at),
        )
    return made
