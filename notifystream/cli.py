"""The console command `notifystream`: every command by name.

Guarantees: `--help` answers without loading what the commands run; an expected error is one message and an
exit code, never a traceback (NOTIFYSTREAM_DEBUG=1 shows it). Leaves everything else to `commands`.
"""

import sys
from collections.abc import Sequence

import typer

from notifystream.commands import (
    analysis,
    consent,
    deadletters,
    demo,
    held,
    routes,
    sandbox,
    send,
    senders,
    services,
    show,
    tail,
    topics,
    warehousing,
)
from notifystream.console import CommandFailed, complain, debugging, end_quietly_on_broken_pipe

app = typer.Typer(
    name="notifystream",
    help=(
        "Customer notifications over Twilio as an event stream: never sent twice, never lost, "
        "never to someone who opted out.\n\n"
        "First steps: [bold]notifystream demo[/] shows everything and ends by itself; "
        "[bold]notifystream sandbox[/] keeps it up, and every other command here finds it. For a deployment, "
        "set KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, CLICKHOUSE_URL, TWILIO_* and PUBLIC_BASE_URL."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    demo,
    sandbox,
    services,
    warehousing,
    topics,
    send,
    tail,
    show,
    senders,
    held,
    routes,
    consent,
    analysis,
    deadletters,
):
    _command.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="notifystream")
    except CommandFailed as failed:
        if debugging():
            raise
        complain(str(failed))
        return failed.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        end_quietly_on_broken_pipe()
        return 0
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except Exception as error:
        if debugging() or not _expected(error):
            raise
        complain(f"{error}")
        return 1
    return 0


def _expected(error: Exception) -> bool:
    """Whether the world outside is to blame: the message says it all."""
    from confluent_kafka import KafkaException

    from schemas.errors import RegistryUnavailable

    return isinstance(error, (KafkaException, RegistryUnavailable))


if __name__ == "__main__":
    sys.exit(main())
