"""`notifystream tail TOPIC`: decoded records as they come."""

import contextlib
import json
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from notifystream.console import WRONG_USE, fail, settings, stderr, stdout
from notifystream.masking import mask_text, mask_value

if TYPE_CHECKING:
    from notifystream.reading import Seen


def register(app: typer.Typer) -> None:
    app.command("tail")(tail)


def tail(
    topic: Annotated[str, typer.Argument(help="One of: notifystream topics list.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per record.")] = False,
    key: Annotated[str | None, typer.Option(help="Only records with this key.")] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="beginning, end, -10m (s, m, h, d ago), 'offset 12', or an ISO 8601 time."
        ),
    ] = "end",
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="End after this many records.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more, or end at what is the end by now.")] = True,
    show_numbers: Annotated[bool, typer.Option("--show-numbers", help="Do not mask phone numbers.")] = False,
) -> None:
    """Show the records of a topic, decoded, until Ctrl-C.

    What cannot be decoded is shown as such. Nobody's offsets move.

    [bold]Examples[/]

    notifystream tail notification.outcomes

    notifystream tail dead.letters --from beginning --no-follow --json

    notifystream tail twilio.status --from -10m --key 9f0c1d3e-… --max 5
    """
    from notifystream.connections import codec, kafka
    from notifystream.positions import BadPosition, parse
    from notifystream.reading import BrokerSilent, NoSuchTopic, read
    from schemas.topics import Topic

    try:
        chosen_topic = Topic(topic)
        position = parse(start, int(time.time() * 1000))
    except BadPosition as wrong:
        fail(str(wrong), WRONG_USE)
    except ValueError:
        fail(f"there is no topic {topic!r}; the topics are: {', '.join(Topic)}", WRONG_USE)
    chosen = settings()
    broker = kafka(chosen)
    if follow and maximum is None and stderr.is_terminal:
        stderr.print(f"[dim]{topic} from {escape(start)}; Ctrl-C ends[/]")
    shown = 0
    try:
        with contextlib.closing(codec(chosen)) as records:
            for seen in read(broker, records, chosen_topic, position, follow=follow):
                if seen is None or (key is not None and seen.key != key):
                    continue
                line = _as_json(seen, show_numbers) if as_json else _as_text(seen, show_numbers)
                if as_json:
                    sys.stdout.write(line + "\n")
                    sys.stdout.flush()
                else:
                    stdout.print(line, soft_wrap=True)
                shown += 1
                if shown == maximum:
                    return
    except (NoSuchTopic, BrokerSilent) as wrong:
        fail(str(wrong))
    except KeyboardInterrupt:
        return


def _fields(seen: "Seen") -> dict[str, Any]:
    from notifystream.reading import Undecodable, plain

    if isinstance(seen.content, Undecodable):
        return {"undecodable": seen.content.reason, "bytes": seen.content.size}
    return {"value": plain(seen.content)}


def _as_json(seen: "Seen", show_numbers: bool) -> str:
    at = datetime.fromtimestamp(seen.at_ms / 1000).astimezone().isoformat(timespec="milliseconds")
    row = {"partition": seen.partition, "offset": seen.offset, "at": at, "key": seen.key, **_fields(seen)}
    return json.dumps(row if show_numbers else mask_value(row), ensure_ascii=False)


def _as_text(seen: "Seen", show_numbers: bool) -> str:
    at = datetime.fromtimestamp(seen.at_ms / 1000).strftime("%H:%M:%S.%f")[:-3]
    fields = _fields(seen)
    if "undecodable" in fields:
        size = fields["bytes"]
        body = f"[red]✗ {escape(fields['undecodable'])}[/]" + (f" ({size} bytes)" if size is not None else "")
    else:
        values = fields["value"] if show_numbers else mask_value(fields["value"])
        # Defaults and absences say nothing; a reader looks for what is there.
        told = {name: value for name, value in values.items() if value not in (None, "", [], {})}
        body = " ".join(f"[dim]{name}=[/]{escape(_short(value))}" for name, value in told.items())
    key = seen.key if show_numbers else mask_text(seen.key)
    return f"[dim]{at} {seen.partition}@{seen.offset}[/] [bold]{escape(key)}[/] {body}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\n", "\\n")
