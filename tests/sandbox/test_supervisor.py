"""Child processes: started together, noticed when they die, killed, brought back, and gone at the end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.supervisor import ChildDied, Children, ChildSpec, SupervisorError
from sandbox.supervisor.ports import free_ports
from tests.waiting import wait_until

WELL = """
import os, signal, sys
print("READY here", flush=True)
print("noise on stdout", flush=True)
print("noise on stderr", file=sys.stderr, flush=True)
sys.stdin.read()
"""
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("READY here", flush=True)
while True:
    signal.pause()
"""


def spec(name: str, script: str, ready_s: float = 20.0) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", script), dict(os.environ), ready_s)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.stop()


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stage_is_ready_when_all_of_it_is(children: Children) -> None:
    assert children.start([spec("one", WELL), spec("two", WELL)]) == {"one": "here", "two": "here"}
    children.check()


def test_what_a_child_says_is_in_its_log(children: Children) -> None:
    children.start([spec("one", WELL)])
    log = children.log("one")
    wait_until(lambda: "noise on stdout" in log.read_text(), 10, "stdout in the log")
    wait_until(lambda: "noise on stderr" in log.read_text(), 10, "stderr in the log")


def test_stop_leaves_nothing_running(children: Children) -> None:
    children.start([spec("one", WELL)])
    children.start([spec("two", WELL)])
    pids = [children.pid("one"), children.pid("two")]
    children.stop()
    assert all(ended(pid) for pid in pids)


def test_a_child_that_ignores_sigterm_is_killed(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.supervisor.children.STOP_S", 0.3)
    children.start([spec("one", STUBBORN)])
    pid = children.pid("one")
    children.stop()
    assert ended(pid)


def test_a_child_that_ends_before_it_is_ready_is_named_with_its_last_words(children: Children) -> None:
    dying = "import sys; print('the port is taken', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ChildDied, match=r"(?s)broken ended with exit code 3 before.*the port is taken"):
        children.start([spec("well", WELL), spec("broken", dying)])


def test_a_start_that_fails_stops_what_was_started(children: Children) -> None:
    children.start([spec("well", WELL)])
    pid = children.pid("well")
    with pytest.raises(ChildDied):
        children.start([spec("broken", "raise SystemExit(1)")])
    assert ended(pid)


def test_a_child_that_never_says_ready_is_given_up(children: Children) -> None:
    with pytest.raises(SupervisorError, match=r"silent was not ready after 0\.2 s"):
        children.start([spec("silent", "import sys; sys.stdin.read()", ready_s=0.2)])


def test_an_unexpected_death_is_noticed(children: Children) -> None:
    children.start([spec("one", WELL)])
    # It is ready before it has said everything.
    wait_until(lambda: "noise on stderr" in children.log("one").read_text(), 10, "its last words")
    os.kill(children.pid("one"), signal.SIGKILL)

    def noticed() -> bool:
        try:
            children.check()
        except ChildDied as died:
            return "one died with signal 9" in str(died) and "noise on stderr" in str(died)
        return False

    wait_until(noticed, 10, "the death to be noticed")


def test_a_death_that_was_asked_for_is_no_surprise_and_the_child_comes_back(children: Children) -> None:
    children.start([spec("one", WELL)])
    first = children.pid("one")
    children.kill("one")
    children.check()
    children.restart("one")
    assert ended(first)
    assert children.pid("one") != first
    children.check()


def test_a_child_that_comes_back_elsewhere_is_an_error(children: Children) -> None:
    children.start([spec("one", "import os, sys; print('READY', os.getpid(), flush=True); sys.stdin.read()")])
    children.kill("one")
    with pytest.raises(SupervisorError, match="where nobody looks for it"):
        children.restart("one")


def test_an_unknown_name_is_refused_with_the_known_ones(children: Children) -> None:
    children.start([spec("one", WELL)])
    with pytest.raises(SupervisorError, match=r"no process 'two'; running are: one"):
        children.kill("two")


def test_a_command_that_fails_is_reported_with_what_it_said(children: Children) -> None:
    with pytest.raises(SupervisorError, match=r"(?s)topics failed with 1.*no broker"):
        children.run(spec("topics", "print('no broker'); raise SystemExit(1)"))


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    script = f"""
import signal, sys, os
from pathlib import Path
from sandbox.supervisor import Children, ChildSpec
children = Children(Path({str(tmp_path)!r}))
children.start([ChildSpec("one", (sys.executable, "-c", {WELL!r}), dict(os.environ))])
print(children.pid("one"), flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert not ended(child)
        supervisor.kill()
    wait_until(lambda: ended(child), 10, "the child to follow its supervisor")


def test_free_ports_are_different_and_below_the_ephemeral_range() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert max(ports) < 32_768
