"""What the ingress refuses to start with: one sentence that names the setting, exit code 2, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ingress.journal.disk import Disk
from tests.ingress.closed_port import closed_port
from tests.ingress.command import environment, free_ports
from tests.ingress.twilio_side import ACCOUNT, TOKEN

COMMAND = str(Path(sys.executable).parent / "notifystream")
TIMEOUT_S = 60

Settings = dict[str, str]
Ended = subprocess.CompletedProcess[str]


def no_token(folder: Path) -> Settings:
    return {"TWILIO_AUTH_TOKEN": ""}


def plain_http(folder: Path) -> Settings:
    return {"PUBLIC_BASE_URL": "http://hooks.example.com"}


def accounts_that_are_no_yaml(folder: Path) -> Settings:
    return _file(folder, "TWILIO_ACCOUNTS_FILE", f"- account_sid: [{TOKEN}")


def accounts_that_others_may_read(folder: Path) -> Settings:
    account = f"- account_sid: {ACCOUNT}\n  auth_token: {TOKEN}"
    return _file(folder, "TWILIO_ACCOUNTS_FILE", account, mode=0o644)


def answers_with_an_unknown_field(folder: Path) -> Settings:
    return _file(folder, "INGRESS_ANSWERS_FILE", "default: {halp: text}")


def a_journal_that_is_no_directory(folder: Path) -> Settings:
    return {"INGRESS_JOURNAL_DIR": str(_written(folder / "file", "", 0o600) / "journal")}


def a_locked_journal(folder: Path) -> Settings:
    Disk().make_directory(folder / "journal" / "worker-0")
    Disk().lock(folder / "journal" / "worker-0" / "lock")  # until this process ends
    return {"INGRESS_JOURNAL_DIR": str(folder / "journal")}


def a_journal_locked_for_the_second_worker(folder: Path) -> Settings:
    Disk().make_directory(folder / "journal" / "worker-1")
    Disk().lock(folder / "journal" / "worker-1" / "lock")
    return {"INGRESS_JOURNAL_DIR": str(folder / "journal"), "INGRESS_WORKERS": "2"}


def a_taken_port(folder: Path) -> Settings:
    return {"INGRESS_PORT": str(_taken(free_ports(1)))}


def a_taken_metrics_port(folder: Path) -> Settings:
    return {"METRICS_PORT": str(_taken(free_ports(1)))}


def a_taken_metrics_port_of_the_second_worker(folder: Path) -> Settings:
    first = free_ports(2)
    _taken(first + 1)
    return {"METRICS_PORT": str(first), "INGRESS_WORKERS": "2"}


def no_metrics_port_left(folder: Path) -> Settings:
    return {"METRICS_PORT": "65535", "INGRESS_WORKERS": "2"}


def a_protocol_that_kafka_has_not(folder: Path) -> Settings:
    return {"KAFKA_SECURITY_PROTOCOL": "NONSENSE"}


def a_registry_without_a_scheme(folder: Path) -> Settings:
    return {"SCHEMA_REGISTRY_URL": "user:password@registry:8081"}


CASES: dict[Callable[[Path], Settings], str] = {
    no_token: "TWILIO_AUTH_TOKEN",
    plain_http: "PUBLIC_BASE_URL is 'http://hooks.example.com', without TLS",
    accounts_that_are_no_yaml: "TWILIO_ACCOUNTS_FILE",
    accounts_that_others_may_read: "chmod 600",
    answers_with_an_unknown_field: "halp",
    a_journal_that_is_no_directory: "INGRESS_JOURNAL_DIR",
    a_locked_journal: "worker-0: another process has this journal open",
    a_journal_locked_for_the_second_worker: "worker-1: another process has this journal open",
    a_taken_port: "change INGRESS_HOST and INGRESS_PORT",
    a_taken_metrics_port: "METRICS_PORT",
    a_taken_metrics_port_of_the_second_worker: "METRICS_PORT",
    no_metrics_port_left: "METRICS_PORT 65535",
    a_protocol_that_kafka_has_not: "KAFKA_",
    a_registry_without_a_scheme: "SCHEMA_REGISTRY_URL",
}


def _file(folder: Path, setting: str, content: str, mode: int = 0o600) -> Settings:
    return {setting: str(_written(folder / setting, content, mode))}


def _written(path: Path, content: str, mode: int) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def _taken(port: int) -> int:
    """Listened on until this process ends."""
    _listening.append(socket.create_server(("127.0.0.1", port)))
    return port


_listening: list[socket.socket] = []


def start(settings: Settings, folder: Path) -> Ended:
    """Of this process's environment it sees nothing."""
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return subprocess.run(
        [COMMAND, "ingress"],
        cwd=folder,
        env={**bare, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


@pytest.fixture(scope="module")
def starts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[Callable[[Path], Settings], Future[Ended]]]:
    """All of them, begun together."""
    nobody = closed_port()
    with ThreadPoolExecutor(3) as pool:
        begun = {}
        for case in CASES:
            folder = tmp_path_factory.mktemp("start")
            settings = environment(nobody, f"http://{nobody}", folder / "kept") | case(folder)
            begun[case] = pool.submit(start, settings, folder)
        yield begun
    while _listening:
        _listening.pop().close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_start_is_refused_with_a_sentence(
    starts: dict[Callable[[Path], Settings], Future[Ended]], case: Callable[[Path], Settings]
) -> None:
    ended = starts[case].result()
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    (refusal,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert CASES[case] in refusal
    assert refusal.endswith(".")
    assert "Traceback" not in ended.stderr
    assert TOKEN not in ended.stderr
    assert "password" not in ended.stderr
