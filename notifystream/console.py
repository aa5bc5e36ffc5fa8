"""What every command does the same way: find its settings, complain usefully, log safely, show progress.

Guarantees: a missing or wrong setting is named with what it is for and an example (exit 2); an expected error
is one sentence without a traceback (exit 1), unless NOTIFYSTREAM_DEBUG=1 asks for it; progress goes to
stderr, so that stdout holds results only. Leaves to the commands: what they do.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pydantic
from pydantic import SecretStr
from rich.console import Console

from notifystream import envfile, logs
from notifystream.masking import mask_text
from notifystream.settings import Settings

WRONG_USE = 2

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False)


class CommandFailed(Exception):
    """Ends the command with this message on stderr and this exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def fail(message: str, exit_code: int = 1) -> NoReturn:
    """End the command: `message` says what was wrong, where, and what to do."""
    raise CommandFailed(message, exit_code)


def debugging() -> bool:
    """Whether NOTIFYSTREAM_DEBUG asks for tracebacks."""
    return os.environ.get("NOTIFYSTREAM_DEBUG", "") not in ("", "0")


def settings() -> Settings:
    """The settings: environment first, then the env file of a running sandbox (see `envfile.find`).

    Ends the command with exit code 2 when one has a value it cannot have, or a named env file is missing.
    """
    try:
        found = envfile.find(os.environ, Path.cwd())
    except envfile.EnvFileMissing as missing:
        fail(str(missing), WRONG_USE)
    try:
        env_file = found.path if found is not None and found.alive else None
        return Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own argument
    except pydantic.ValidationError as invalid:
        fail("\n".join(_wrong_setting(error["loc"], error["msg"]) for error in invalid.errors()), WRONG_USE)
    except ValueError as unreadable:
        # pydantic-settings: a JSON setting that is not JSON.
        fail(f"a setting cannot be read: {unreadable}", WRONG_USE)


def require(chosen: Settings, *names: str) -> tuple[str, ...]:
    """The values of these settings (field names), in this order, secrets revealed.

    Ends the command with exit code 2 when any is missing: which, what it is for, an example.
    """
    missing = [name for name in names if getattr(chosen, name) in (None, "")]
    if missing:
        fail("\n".join([*map(_missing_setting, missing), _where_settings_come_from()]), WRONG_USE)
    values = (getattr(chosen, name) for name in names)
    return tuple(v.get_secret_value() if isinstance(v, SecretStr) else str(v) for v in values)


def configure_logging(chosen: Settings) -> None:
    """Log as LOG_FORMAT and LOG_LEVEL say; see `logs`."""
    try:
        logs.configure(chosen.log_format, chosen.log_level)
    except ValueError as wrong:
        fail(str(wrong), WRONG_USE)


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that whatever it started is stopped."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def complain(message: str) -> None:
    """An error on stderr, numbers and passwords masked."""
    first, *rest = mask_text(message).splitlines() or [""]
    stderr.print(f"[bold red]error:[/] {_escaped(first)}", soft_wrap=True)
    for line in rest:
        stderr.print(f"  {_escaped(line)}", soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _missing_setting(name: str) -> str:
    field = Settings.model_fields[name]
    example = f" Example: {name.upper()}={field.examples[0]}" if field.examples else ""
    return f"{name.upper()} is not set. It says: {field.description}{example}"


def _wrong_setting(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "?"
    field = Settings.model_fields.get(name)
    purpose = f" It says: {field.description}" if field is not None else ""
    return f"{name.upper()} has a value it cannot have: {message}.{purpose}"


def _where_settings_come_from() -> str:
    found = envfile.find(os.environ, Path.cwd())
    if found is None:
        return "Set it in the environment, or start a sandbox here: notifystream sandbox"
    if not found.alive:
        return f"The sandbox that wrote {found.path} has ended; start it again: notifystream sandbox"
    return f"Neither the environment nor {found.path} has it."


def end_quietly_on_broken_pipe() -> None:
    """Whoever read our output went away: nothing to say and nobody to say it to."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
