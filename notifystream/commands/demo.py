"""`notifystream demo`: the whole pipeline on this machine, judged against the simulator's ledger."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from notifystream import envfile
from notifystream.console import WRONG_USE, ending_on_sigterm, fail, stderr, stdout
from notifystream.report_table import report_table

if TYPE_CHECKING:
    from sandbox.demo.plan import Plan
    from sandbox.demo.verdict import Verdict
    from sandbox.supervisor import Sandbox

_LANDING_S = 45.0
_LISTED = 10


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="Notify events.")] = 500,
    seed: Annotated[int, typer.Option(help="People, events and every carrier's doing follow from it.")] = 7,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the verdict as JSON.")
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(metavar="BOOTSTRAP", help="A Kafka that is there, instead of the embedded one."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Events published per second.")] = 50.0,
    chaos: Annotated[
        str, typer.Option(help="none, default or worst: how much goes wrong at Twilio.")
    ] = "default",
    deadline: Annotated[float, typer.Option(min=1, help="Seconds until what is open is given up.")] = 300.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything up afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Run the whole pipeline here: Kafka, Twilio's simulator, all services; nothing else is needed.

    Publishes events with every kind of bad input among them, waits until each has its final outcome, and
    compares those, and every report, with what the simulator really did. Exit code 0 only if nothing was
    sent twice, nothing was lost, no outcome is wrong and none is open, and no report has a wrong figure.

    [bold]Examples[/]

    notifystream demo

    notifystream demo --messages 2000 --seed 42 --chaos worst --json verdict.json

    notifystream demo --keep   # then, elsewhere: notifystream report carriers
    """
    if chaos not in ("none", "default", "worst"):
        fail(f"--chaos {chaos!r}: it is none, default or worst", WRONG_USE)
    if json_file is not None and not json_file.resolve().parent.is_dir():
        fail(f"--json {json_file}: there is no such folder to write it to", WRONG_USE)
    from sandbox.carrier.errors import SimulatorError
    from sandbox.demo.feed import NotWritten
    from sandbox.demo.plan import make_plan
    from sandbox.demo.run import DemoFailed
    from sandbox.demo.stage import options
    from sandbox.demo.warehouse import NotLanded
    from sandbox.supervisor import Sandbox, SupervisorError

    # On a broker that remembers earlier runs the same keys would be the same notifications.
    plan = make_plan(messages, seed, label=f"{time.time_ns():x}" if kafka else "")
    with _folder() as folder, ending_on_sigterm():
        box = Sandbox(options(folder, seed=seed, chaos=chaos, kafka=kafka))
        try:
            _perform(
                box,
                plan,
                folder,
                rate=rate,
                deadline_s=deadline,
                json_file=json_file,
                keep=keep,
                is_alone=kafka is None,
            )
        except (SupervisorError, SimulatorError, NotWritten, NotLanded, DemoFailed) as error:
            fail(str(error))
        finally:
            box.stop()


def _perform(
    box: "Sandbox",
    plan: "Plan",
    folder: Path,
    *,
    rate: float,
    deadline_s: float,
    json_file: Path | None,
    keep: bool,
    is_alone: bool,
) -> None:
    from sandbox.demo.display import Display
    from sandbox.demo.proof import judge_reports
    from sandbox.demo.run import Target, run
    from sandbox.demo.warehouse import wait_for
    from schemas.clients import Kafka
    from sinks.analytics.reports import ReportName

    with Display(stderr) as display:
        box.start(display.step)
        done = run(
            plan,
            Target(
                kafka=Kafka(bootstrap_servers=box.env["KAFKA_BOOTSTRAP_SERVERS"]),
                registry_url=box.env["SCHEMA_REGISTRY_URL"],
                carrier_url=box.carrier_url,
                check=box.children.check,
            ),
            display,
            per_second=rate,
            deadline_s=deadline_s,
        )
        if json_file is not None:
            json_file.write_bytes(_as_json(plan, done.verdict))
        display.step("waiting for ClickHouse")
        wait_for(box.env["CLICKHOUSE_URL"], done.versions, _LANDING_S, box.children.check)
        display.step("comparing every report with the simulator's ledger")
        verdict, reports = judge_reports(plan, done, box, is_alone=is_alone)
        if json_file is not None:
            json_file.write_bytes(_as_json(plan, verdict))
    stdout.print(report_table(reports[ReportName.CARRIERS]))
    stdout.print()
    _print_verdict(verdict)
    if keep:
        _stay(box, folder)
    else:
        stdout.print("\nNext: [bold]notifystream sandbox[/] keeps all of this up; then, in another terminal:")
        stdout.print('  notifystream send --tenant acme --key first --to +18205550101 --body "Hello"')
        stdout.print("  notifystream show --tenant acme --key first")
    if not verdict.passed:
        fail("the pipeline did not keep its promises; the findings are above")


def _stay(box: "Sandbox", folder: Path) -> None:
    env_file = folder / "sandbox.env"
    envfile.write(env_file, box.env, os.getpid())
    stdout.print(f"\nEverything stays up until Ctrl-C. Logs: {folder / 'logs'}. In another terminal:")
    stdout.print(f"  export {envfile.NAMED_BY}={env_file}", soft_wrap=True)
    stdout.print("  notifystream report errors; notifystream tail notification.outcomes --from -10m")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            box.children.check()
            time.sleep(0.3)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """The demo's own folder, gone afterwards; kept after a failure, because the logs are in it."""
    folder = Path(tempfile.mkdtemp(prefix="notifystream-demo-"))
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        stderr.print(f"logs: {folder / 'logs'}")
        raise
    # A second Ctrl-C while the folder goes would leave half of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shutil.rmtree(folder, ignore_errors=True)


def _as_json(plan: "Plan", verdict: "Verdict") -> bytes:
    fields = {"seed": plan.seed, **msgspec.to_builtins(verdict), "passed": verdict.passed}
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def _print_verdict(verdict: "Verdict") -> None:
    from sandbox.demo.verdict import PROMISES

    table = Table(title="Verdict", title_justify="left", show_header=False, box=None, pad_edge=False)
    for name in verdict.__struct_fields__:
        if name == "findings":
            continue
        value = getattr(verdict, name)
        note = "[dim]must be 0[/]" if name in PROMISES else ""
        color = ("green" if value == 0 else "bold red") if name in PROMISES else "default"
        table.add_row(name.replace("_", " "), f"[{color}]{value}[/]", note)
    stdout.print(table)
    for finding in verdict.findings[:_LISTED]:
        stdout.print(f"[red]✗[/] {finding.kind}: {finding.notification_id}: {escape(finding.what)}")
    if len(verdict.findings) > _LISTED:
        stdout.print(f"… and {len(verdict.findings) - _LISTED} more, all of them in the file of --json")
