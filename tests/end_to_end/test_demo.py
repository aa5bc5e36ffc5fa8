"""The whole pipeline on the embedded servers, by the command a newcomer types."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from notifystream.envfile import DEFAULT_ENV_FILE
from schemas.identity import notification_id
from tests.waiting import wait_until

FIELDS = {
    "requested", "duplicates", "invalid", "suppressed", "accepted", "delivered", "undelivered", "failed",
    "unconfirmed", "open", "api_calls", "double_sends", "lost", "wrong_state", "elapsed_s", "reports_checked",
    "figures", "wrong_figures",
}  # fmt: skip


def notifystream(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "notifystream", *arguments],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Path]:
    """A folder with a running `notifystream sandbox`; it must end cleanly on Ctrl-C."""
    with (
        open(tmp_path / "sandbox.log", "wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "notifystream", "sandbox", "--time-scale", "0.05"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_until(
                lambda: process.poll() is not None or (tmp_path / DEFAULT_ENV_FILE).exists(),
                90,
                "the sandbox to come up",
            )
            assert process.poll() is None, (tmp_path / "sandbox.log").read_text()
            yield tmp_path
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, (tmp_path / "sandbox.log").read_text()
            assert not (tmp_path / DEFAULT_ENV_FILE).exists()
        finally:
            if process.poll() is None:
                process.kill()


def test_the_demo_keeps_every_promise_and_says_so_in_json(tmp_path: Path) -> None:
    file = tmp_path / "verdict.json"
    ran = notifystream("demo", "--messages", "80", "--seed", "7", "--json", str(file), folder=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verdict = json.loads(file.read_text())
    assert verdict.keys() >= FIELDS
    zeros = ("open", "double_sends", "lost", "wrong_state", "sent_after_opt_out", "wrong_figures")
    assert {name: verdict[name] for name in zeros} == dict.fromkeys(zeros, 0)
    assert verdict["requested"] == 80
    assert verdict["duplicates"] == 3
    assert (
        min(verdict[name] for name in ("delivered", "invalid", "suppressed", "conflicts", "dead_letters")) > 0
    )
    ended = sum(verdict[name] for name in ("delivered", "undelivered", "failed", "unconfirmed"))
    assert ended + verdict["suppressed"] + verdict["invalid"] + verdict["dead_letters"] == 80 - 3 - 1
    assert verdict["reports_checked"] == 12
    assert verdict["figures"] > 500
    assert "Deliverability by carrier" in ran.stdout


def test_a_demo_that_runs_out_of_time_fails_and_says_what_is_open(tmp_path: Path) -> None:
    ran = notifystream(
        "demo",
        "--messages",
        "60",
        "--rate",
        "5",
        "--deadline",
        "3",
        folder=tmp_path,
        env={"TMPDIR": str(tmp_path)},
    )
    assert ran.returncode == 1
    assert "open: " in ran.stdout
    [kept] = tmp_path.glob("notifystream-demo-*/logs")
    assert (kept / "streams.log").exists()


def test_one_event_is_sent_shown_and_reported_from_another_terminal(sandbox: Path) -> None:
    sent = notifystream(
        "send",
        "--tenant",
        "acme",
        "--key",
        "first",
        "--to",
        "+18205550101",
        "--body",
        "Hello",
        folder=sandbox,
    )
    identity = notification_id("acme", "first")
    assert sent.stdout.strip() == identity, sent.stderr

    def delivered() -> bool:
        shown = notifystream("show", identity, "--json", folder=sandbox)
        return shown.returncode == 0 and json.loads(shown.stdout)["state"] == "delivered"

    wait_until(delivered, 60, "the notification to be delivered and shown")
    tailed = notifystream(
        "tail", "notification.outcomes", "--from", "-5m", "--no-follow", "--json", folder=sandbox
    )
    states = [json.loads(line)["value"]["state"] for line in tailed.stdout.splitlines()]
    assert states[-1] == "delivered"
    carriers = notifystream("report", "carriers", "--json", folder=sandbox)
    assert sum(row["delivered"] for row in json.loads(carriers.stdout)) == 1
    counted = notifystream("sql", "SELECT count() AS n FROM messages FINAL", "--json", folder=sandbox)
    assert json.loads(counted.stdout) == [{"n": 1}]


def test_a_second_sandbox_in_the_same_folder_is_refused(sandbox: Path) -> None:
    second = notifystream("sandbox", folder=sandbox)
    assert second.returncode == 1
    assert "a sandbox runs in" in second.stderr
    assert (sandbox / DEFAULT_ENV_FILE).exists()
