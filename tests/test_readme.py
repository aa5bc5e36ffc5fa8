"""What the README tells a newcomer to type, typed."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.main import get_command

from notifystream.cli import app, main
from sandbox.carrier.ledger import fetch_ledger
from schemas.identity import notification_id
from sinks.analytics.reports import ReportName
from sinks.analytics.schema_files import migrations
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMAND = str(Path(sys.executable).parent / "notifystream")
REPORTS = re.findall(r"^\| `(\w+)` \|.*\| `notifystream (report .*)` \|$", README, re.M)
"""The table of reports: each with its example."""


def typed() -> list[list[str]]:
    """The words after `notifystream` of every line of the README's consoles."""
    found = []
    for line in re.findall(r"^\$ (.*)$", README, re.M):
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words and Path(words[0]).name == "notifystream":
            found.append(words[1 : words.index("<")] if "<" in words else words[1:])
    return found


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. What does not end says which of its processes are left."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        left = [
            " ".join(each.cmdline()[1:4]) for each in psutil.Process(process.pid).children(recursive=True)
        ]
        process.kill()
        process.wait()
        raise AssertionError(
            f"the sandbox did not end within a minute of Ctrl-C; left were: {left}"
        ) from None


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running `notifystream sandbox`."""
    folder = tmp_path_factory.mktemp("newcomer")
    with (folder / "sandbox.log").open("w") as log:
        process = subprocess.Popen([COMMAND, "sandbox"], cwd=folder, stdout=log, stderr=log)
        try:
            env_file = folder / ".notifystream" / "sandbox.env"
            wait_until(lambda: env_file.exists() or process.poll() is not None, 120, "the sandbox to be up")
            assert process.poll() is None, (folder / "sandbox.log").read_text()
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            assert _ended(process) == 0


def settings(sandbox: Path) -> dict[str, str]:
    lines = (sandbox / ".notifystream" / "sandbox.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: shlex.split(value)[0] if value else "" for name, _, value in pairs}


def run(sandbox: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], cwd=sandbox, capture_output=True, text=True, timeout=60)


def story(sandbox: Path, key: str) -> dict[str, object]:
    shown = run(sandbox, "show", "--tenant", "acme", "--key", key, "--json")
    return json.loads(shown.stdout) if shown.returncode == 0 else {}


def test_the_producer_in_the_readme_reaches_the_handset_and_show_tells_its_story(sandbox: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (sandbox / "producer.py").write_text(block)
    produced = subprocess.run(
        [sys.executable, "producer.py"],
        cwd=sandbox,
        env=os.environ | settings(sandbox),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert produced.returncode == 0, produced.stderr

    told = wait_until(
        lambda: (seen := story(sandbox, "booking-77")).get("final") and seen, 60, "a final state in `show`"
    )
    kinds = {moment["kind"] for moment in told["moments"]}
    assert {"request", "command", "attempt", "status", "outcome"} <= kinds

    ledger = fetch_ledger(settings(sandbox)["TWILIO_API_URL"])
    mine = notification_id("acme", "booking-77")
    assert [m.final_status for m in ledger.messages if mine in m.status_callback] == [told["state"]]


def test_every_command_line_of_the_readme_works_while_the_sandbox_runs(sandbox: Path) -> None:
    lines = re.findall(r"^\$ \.venv/bin/notifystream (.*)$", README, re.M)
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)
        if words[0] == "tail":
            words += ["--max", "1"]
        if "booking-77" in words:
            continue  # the producer above
        done = wait_until(
            lambda words=words: (ended := run(sandbox, *words)).returncode == 0 and ended,
            60,
            f"`{line}` to succeed",
        )
        assert done.stdout.strip(), line


def test_every_command_line_of_the_readme_is_one_that_there_is() -> None:
    lines = [*typed(), *(shlex.split(example) for _, example in REPORTS)]
    assert len(lines) >= 30
    for line in lines:
        command, words = get_command(app), list(line)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]  # a group, as it has them
        # Raises for an option that is not there, and for a value of another type.
        command.make_context("notifystream", words)


def test_every_report_is_in_the_readme_with_an_example_that_works(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [name for name, _ in REPORTS] == list(ReportName)
    monkeypatch.setenv("NOTIFYSTREAM_ENV_FILE", str(sandbox / ".notifystream" / "sandbox.env"))
    for name, example in REPORTS:
        words = shlex.split(example)
        assert words[1] == name
        assert main(words) == 0, f"{example}: {capsys.readouterr().err}"
        assert capsys.readouterr().out.strip(), example


def test_the_readme_names_every_view_an_analyst_may_read() -> None:
    (table,) = re.findall(r"^\| view \|.*?\n\n", README, re.M | re.S)
    made = {view for each in migrations() for view in re.findall(r"CREATE OR REPLACE VIEW (\w+)", each.text)}
    # Made for the reports themselves, and what attributed_messages says better.
    assert set(re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", table, re.M)) == made - {
        "live_hours",
        "message_endings",
    }


@pytest.mark.parametrize(
    "line",
    [
        "analytics migrate --dry-run",
        "analytics backfill --since 6h --dry-run",
        "analytics rebuild --since 7d",
        "routes --status down",
    ],
)
def test_what_the_readme_tells_an_operator_of_analytics_works(
    sandbox: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shlex.split(line) in typed()
    monkeypatch.setenv("NOTIFYSTREAM_ENV_FILE", str(sandbox / ".notifystream" / "sandbox.env"))
    assert main(shlex.split(line)) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


def test_erasing_as_the_readme_says_reads_the_number_from_stdin_and_asks_about_the_key_when_nobody_is_found(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["analytics", "erase", "-", "--dry-run"]
    assert line in typed()
    monkeypatch.setenv("NOTIFYSTREAM_ENV_FILE", str(sandbox / ".notifystream" / "sandbox.env"))
    monkeypatch.setattr("sys.stdin", io.StringIO("+447400999999\n"))
    assert main(line) == 0
    told = capsys.readouterr()
    assert "0 rows of 0 notifications would be erased" in told.out
    assert "is PII_HASH_KEY the key" in told.err
    assert "447400999999" not in told.out + told.err


def test_every_link_within_the_readme_leads_to_a_heading() -> None:
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    there = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    wanted = set(re.findall(r"\]\(#([^)]+)\)", prose))
    assert wanted
    assert wanted - there == set()


def test_the_producer_in_the_readme_is_about_twenty_lines() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(block.splitlines()) <= 30
