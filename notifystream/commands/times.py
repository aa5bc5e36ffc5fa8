"""Options that name a time, for the commands that work between two of them."""

from notifystream.console import WRONG_USE, fail


def moment(option: str, text: str, now_ms: int) -> int:
    """Milliseconds since the epoch; what is no time ends the command with the forms there are."""
    # Only here: it brings the Kafka client, which no --help needs.
    from notifystream.positions import BadPosition, Since, parse

    try:
        # `24h` as `report` takes it, `-24h` as `tail` does.
        found = parse(f"-{text}" if text[:1].isdigit() and text[-1:] in "smhd" else text, now_ms)
    except BadPosition:
        found = None
    if not isinstance(found, Since):
        fail(f"{option} {text!r} is no time: write 24h, 30m, 7d or 2026-11-20T08:00", WRONG_USE)
    return found.at_ms
