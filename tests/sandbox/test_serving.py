"""How every sandbox server starts and ends, shown on the registry (ASGI) and the broker (not ASGI)."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ["sandbox.registry", "sandbox.broker"]


@contextmanager
def started(module: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its READY line; whatever the test leaves running is killed."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def address_of(ready: str) -> tuple[str, int]:
    host, _, port = ready.split()[1].removeprefix("http://").rpartition(":")
    return host, int(port)


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("module", SERVERS)
def test_a_server_answers_on_the_loopback_address_it_announces(module: str) -> None:
    with started(module) as (_, ready):
        assert ready.startswith("READY ")
        host, _ = address_of(ready)
        assert host == "127.0.0.1"
        assert answers(address_of(ready))


def test_nothing_but_the_ready_line_goes_to_stdout() -> None:
    with started("sandbox.registry") as (process, ready):
        urllib.request.urlopen(f"{ready.split()[1]}/subjects").close()
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert rest == ""


@pytest.mark.parametrize("module", SERVERS)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_server_told_to_end_exits_with_success(module: str, end: signal.Signals) -> None:
    with started(module) as (process, _):
        process.send_signal(end)
        assert process.wait(20) == 0


@pytest.mark.parametrize("module", SERVERS)
def test_the_end_of_stdin_ends_a_server_that_was_asked_to_heed_it(module: str) -> None:
    with started(module, "--exit-with-stdin") as (process, ready):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
        assert not answers(address_of(ready))


def test_the_end_of_stdin_means_nothing_to_other_servers() -> None:
    with started("sandbox.registry") as (process, ready):
        assert process.stdin is not None
        process.stdin.close()
        urllib.request.urlopen(f"{ready.split()[1]}/subjects").close()
        assert process.poll() is None


@pytest.mark.parametrize("module", SERVERS)
def test_a_server_is_gone_when_its_parent_was_killed_with_9(module: str) -> None:
    parent_code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', sys.argv[1], '--exit-with-stdin'],"
        " stdin=subprocess.PIPE)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, module],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        ready = parent.stdout.readline()
        (child,) = psutil.Process(parent.pid).children()
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: not child.is_running(), 20, f"the end of {module}")
    assert not answers(address_of(ready))


def test_a_taken_port_ends_the_start_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "sandbox.registry", "--port", str(port)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert result.returncode != 0
    assert "address already in use" in result.stderr
    assert result.stdout == ""
