"""Several workers behind one address: none of them is missed for long, and none outlives its parent."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from ingress.workers import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s
from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests import servers
from tests.ingress import command
from tests.ingress.command import TIMEOUT_S, Ingress, ended, environment, kill, stopped
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import new_sid, post, status_form
from tests.waiting import wait_until

ENTRIES = "ingress_journal_entries"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with command.broker(tmp_path_factory.mktemp("broker") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def pair(
    broker: servers.Server, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ingress]:
    """Two workers for all tests that leave two workers behind."""
    folder = tmp_path_factory.mktemp("pair")
    settings = environment(broker.address, registry, folder / "journal")
    with command.running(settings, folder / "log", workers=2) as ingress:
        yield ingress


def deliver(ingress: Ingress, sid: str) -> int:
    """One status callback on a connection of its own."""
    with httpx2.Client(base_url=ingress.address, timeout=TIMEOUT_S) as client:
        return post(client, "/twilio/status", status_form(sid)).status_code


def journal_some(ingress: Ingress, broker: servers.Server, worker: int) -> list[str]:
    """Callbacks that only this worker can have taken, in its journal as the broker stands still."""
    others = [pid for number, pid in ingress.worker_pids().items() if number != worker]
    sids = [new_sid() for _ in range(3)]
    with stopped(*others):
        assert [deliver(ingress, sid) for sid in sids] == [204] * 3
        assert ingress.metric(ENTRIES, worker) == 3
    return sids


def in_topic(broker: servers.Server, registry: str) -> set[str]:
    with TopicReader(broker.address, registry) as reader:
        return {key for key, _ in reader.all(Topic.STATUS, ProviderStatus)}


def test_each_worker_answers_while_the_other_stands_still(pair: Ingress) -> None:
    pids = pair.worker_pids()
    assert sorted(pids) == [0, 1]
    for worker in pids:
        with stopped(pids[1 - worker]):
            assert deliver(pair, new_sid()) == 204
        counted = 'ingress_requests_total{result="acknowledged",route="status"}'
        assert pair.metric(counted, worker) == 1


def test_a_killed_worker_is_started_again_and_drains_the_journal_it_left(
    pair: Ingress, broker: servers.Server, registry: str
) -> None:
    with stopped(broker.pid):
        sids = journal_some(pair, broker, worker=0)
        first = pair.worker_pids()[0]
        kill(first)
        wait_until(lambda: pair.worker_pids()[0] != first, TIMEOUT_S, "another worker 0")
        assert pair.metric(ENTRIES) == 3
    wait_until(lambda: pair.metric(ENTRIES) == 0, TIMEOUT_S, "its journal to be drained")
    assert set(sids) <= in_topic(broker, registry)
    assert [event["exit_code"] for event in pair.events("worker.died")] == [-signal.SIGKILL]


def test_who_connects_while_no_worker_lives_waits_for_the_next_one(pair: Ingress) -> None:
    for pid in pair.worker_pids().values():
        kill(pid)
    # 503 while it asks the registry for the schemas' ids.
    assert deliver(pair, new_sid()) in (204, 503)


def test_sigterm_to_the_parent_ends_all_workers(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with command.running(settings, tmp_path / "log", workers=2) as ingress:
        assert deliver(ingress, new_sid()) == 204
        pids = ingress.worker_pids().values()
        os.kill(ingress.pid, signal.SIGTERM)
        wait_until(lambda: ended(ingress.pid), TIMEOUT_S, "the parent to end")
        assert all(map(ended, pids))
    assert ingress.events("worker.killed") == ingress.events("worker.ended") == []


def test_ctrl_c_in_a_terminal_ends_workers_that_are_still_importing_without_a_traceback(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    with starting(environment(broker.address, registry, tmp_path / "journal"), tmp_path / "log") as parent:
        wait_until(lambda: len(workers_of(parent)) == 2, TIMEOUT_S, "both workers to be begun")
        wait_until(lambda: min(map(worked_s, workers_of(parent))) > 0.15, TIMEOUT_S, "them to import")
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(TIMEOUT_S) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_workers_end_by_themselves_when_their_parent_is_killed(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with command.running(settings, tmp_path / "log", workers=2) as ingress:
        pids = ingress.worker_pids().values()
        kill(ingress.pid)
        wait_until(lambda: all(map(ended, pids)), TIMEOUT_S, "the workers to end")


def test_it_is_ready_only_once_all_workers_answer(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with starting(environment(broker.address, registry, tmp_path / "journal"), log) as parent:
        wait_until(lambda: len(workers_of(parent)) == 2, TIMEOUT_S, "both workers to be begun")
        with stopped(workers_of(parent)[1]):
            wait_until(lambda: "worker.ready" in log.read_text(), TIMEOUT_S, "the other one to be ready")
            assert not said(parent, within_s=0.2)
        assert said(parent, within_s=TIMEOUT_S).startswith("READY http://127.0.0.1:")
    answering = [event["worker"] for event in command.logged(log) if event["event"] == "worker.ready"]
    assert sorted(answering) == [0, 1]


def test_one_worker_needs_no_parent(broker: servers.Server, registry: str, tmp_path: Path) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with command.running(settings, tmp_path / "log") as ingress:
        assert psutil.Process(ingress.pid).children() == []
        assert deliver(ingress, new_sid()) == 204


def test_with_fewer_workers_than_before_the_journals_of_the_others_are_drained(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with stopped(broker.pid), command.running(settings, tmp_path / "before", workers=2) as ingress:
        sids = journal_some(ingress, broker, worker=1)
    with command.running(settings, tmp_path / "after") as ingress:
        wait_until(lambda: set(sids) <= in_topic(broker, registry), TIMEOUT_S, "all to be in Kafka")
        (adopted,) = ingress.events("journal.adopted")
    assert adopted["directory"] == str(tmp_path / "journal" / "worker-1")


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often() -> None:
    pauses = [pause_s(deaths) for deaths in range(1, 100)]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


@contextmanager
def starting(settings: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Two workers as they start, in a process group of their own; ended with the block."""
    ports = {"METRICS_PORT": str(command.free_ports(2)), "INGRESS_WORKERS": "2"}
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-m", "notifystream", "ingress"],
            env={**os.environ, **settings, **ports},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=written,
            process_group=0,
        ) as parent,
    ):
        try:
            yield parent
            parent.terminate()
            parent.wait(TIMEOUT_S)
        finally:
            parent.kill()


def workers_of(parent: subprocess.Popen[bytes]) -> list[int]:
    """The processes that multiprocessing has begun for workers."""
    children = psutil.Process(parent.pid).children()
    return [child.pid for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]


def worked_s(pid: int) -> float:
    """Seconds on a processor; Python itself takes 0.02 to start, the imports 0.6."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def said(parent: subprocess.Popen[bytes], within_s: float) -> str:
    """The next line on its stdout, or nothing."""
    assert parent.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(parent.stdout, selectors.EVENT_READ)
        return parent.stdout.readline().decode() if selector.select(within_s) else ""
