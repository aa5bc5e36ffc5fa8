"""`notifystream sandbox`: everything up on this machine, and staying up."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from notifystream import envfile
from notifystream.console import WRONG_USE, ending_on_sigterm, fail, stderr, stdout

if TYPE_CHECKING:
    from sandbox.supervisor import Sandbox

FOLDER = Path(".notifystream")
_WATCH_S = 0.3


def register(app: typer.Typer) -> None:
    app.command("sandbox")(sandbox)


def sandbox(
    seed: Annotated[
        int, typer.Option(help="Fates of the simulated messages; the same seed repeats them.")
    ] = 7,
    chaos: Annotated[
        str, typer.Option(help="none, default or worst: how much goes wrong at Twilio.")
    ] = "none",
    time_scale: Annotated[float, typer.Option(min=0, help="Multiplies every carrier delay.")] = 1.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Segments per second and sender.")] = 50.0,
    kafka: Annotated[
        str | None,
        typer.Option(metavar="BOOTSTRAP", help="A Kafka that is there, instead of the embedded one."),
    ] = None,
) -> None:
    """Run everything here until Ctrl-C: Kafka, registry, ClickHouse, Twilio's simulator, all services.

    Every other command finds it from this folder or below, by the env file it writes
    (.notifystream/sandbox.env); logs are in .notifystream/logs.

    [bold]Examples[/]

    notifystream sandbox

    notifystream sandbox --chaos worst --time-scale 0.2

    set -a; . .notifystream/sandbox.env; set +a   # for any other client
    """
    from sandbox.supervisor import Sandbox, SandboxOptions, SupervisorError

    if chaos not in ("none", "default", "worst"):
        fail(f"--chaos {chaos!r}: it is none, default or worst", WRONG_USE)
    env_file = FOLDER / "sandbox.env"
    with _only_one(FOLDER), ending_on_sigterm():
        box = Sandbox(
            SandboxOptions(
                folder=FOLDER,
                kafka=kafka,
                settings={"SENDER_RATE": str(rate), "SENDER_BURST": str(max(1.0, rate))},
                carrier=("--seed", str(seed), "--chaos", chaos, "--time-scale", str(time_scale)),
            )
        )
        try:
            with stderr.status("starting") as status:
                box.start(lambda step: status.update(step))
            envfile.write(env_file, box.env, os.getpid())
            _introduce(box, env_file)
            while True:
                box.children.check()
                time.sleep(_WATCH_S)
        except SupervisorError as error:
            fail(str(error))
        except KeyboardInterrupt:
            stderr.print("ending")
        finally:
            env_file.unlink(missing_ok=True)
            box.stop()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """The right to be this folder's sandbox; the kernel gives it back however this process ends."""
    folder.mkdir(exist_ok=True)
    with open(folder / "sandbox.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            fail(
                f"a sandbox runs in {folder.resolve().parent} already (process {owner}); "
                "use it, end it with Ctrl-C there, or start this one in another folder"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _introduce(box: "Sandbox", env_file: Path) -> None:
    table = Table("what", "where", "setting", box=None, pad_edge=False)
    for what, setting in (
        ("Kafka", "KAFKA_BOOTSTRAP_SERVERS"),
        ("schema registry", "SCHEMA_REGISTRY_URL"),
        ("ClickHouse", "CLICKHOUSE_URL"),
        ("Twilio's simulator", "TWILIO_API_URL"),
        ("ingress", "PUBLIC_BASE_URL"),
    ):
        table.add_row(what, escape(box.env[setting]), f"[dim]{setting}[/]")
    stdout.print(table)
    stdout.print(f"\nsettings: {env_file}   logs: {FOLDER / 'logs'}   Ctrl-C ends everything")
    stdout.print(
        '\nIn another terminal: [bold]notifystream send --tenant acme --to +18205550101 --body "Hello"[/]'
    )
    stdout.print("                     [bold]notifystream tail notification.outcomes --from -5m[/]")
