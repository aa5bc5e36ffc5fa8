"""`notifystream ingress` as an operator starts it: settings from the environment, logs in JSON, metrics.

Guarantees: as `tests.servers`: it ends with the block, or says what it logged. Nothing of a sandbox that
happens to run here is seen.
"""

from __future__ import annotations

import json
import random
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from ingress.accepted import RECORDS
from tests import servers
from tests.ingress.twilio_side import ACCOUNT, BASE, TOKEN
from tests.waiting import wait_until

ACK_TIMEOUT_S = 0.5
TIMEOUT_S = 30.0
# Below Linux's ephemeral range, or an outgoing connection could take a port while a worker is down.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Ingress:
    """Worker n shows its metrics on `metrics_port` + n."""

    address: str
    pid: int
    log: Path
    metrics_port: int

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def metrics(self, worker: int = 0) -> str | None:
        """What the worker shows; None while nobody answers there."""
        try:
            return httpx2.get(f"http://127.0.0.1:{self.metrics_port + worker}/metrics", timeout=20).text
        except httpx2.TransportError:
            return None

    def metric(self, name: str, worker: int = 0) -> float | None:
        """The sample of this name, with its labels as they are shown."""
        lines = (self.metrics(worker) or "").splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log of this event."""
        return [event for event in logged(self.log) if event["event"] == name]

    def worker_pids(self) -> dict[int, int]:
        """By number, the process that became ready last."""
        return {event["worker"]: event["pid"] for event in self.events("worker.ready")}


def logged(log: Path) -> list[dict[str, Any]]:
    """Every whole line of the log; raises ValueError for one that is not JSON."""
    whole, _, _ = log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def environment(kafka: str, registry: str, journal: Path, **more: str) -> dict[str, str]:
    """Settings with which the ingress starts; `more` by their names."""
    return {
        "NOTIFYSTREAM_ENV_FILE": "",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "SCHEMA_REGISTRY_URL": registry,
        "PUBLIC_BASE_URL": BASE,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "INGRESS_PORT": "0",
        "INGRESS_JOURNAL_DIR": str(journal),
        "INGRESS_ACK_TIMEOUT_S": str(ACK_TIMEOUT_S),
        "LOG_FORMAT": "json",
    } | more


@contextmanager
def running(
    settings: Mapping[str, str], log: Path, *, workers: int = 1, start: tuple[str, ...] = ("notifystream",)
) -> Iterator[Ingress]:
    """The ingress until the end of the block, from when all workers know the schemas.

    `start` is another module that becomes it.
    """
    metrics_port = free_ports(workers)
    settings = {**settings, "METRICS_PORT": str(metrics_port), "INGRESS_WORKERS": str(workers)}
    with servers.running(*start, "ingress", log=log, env=settings) as server:
        ingress = Ingress(server.address, server.pid, server.log, metrics_port)
        known = "registry.schemas_registered"
        wait_until(lambda: len(ingress.events(known)) == workers, TIMEOUT_S, "the schemas to be known")
        yield ingress


@contextmanager
def broker(log: Path) -> Iterator[servers.Server]:
    """An embedded broker that may be stopped, with the topics that the ingress writes."""
    topics = [option for topic in RECORDS for option in ("--topic", topic)]
    with servers.running("sandbox.broker", *topics, log=log) as server:
        yield server


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """They stand still for the block. One that was killed meanwhile stays dead."""
    processes = [psutil.Process(pid) for pid in pids]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            if process.is_running():
                process.resume()


def kill(pid: int) -> None:
    """kill -9, and wait until it is gone."""
    psutil.Process(pid).send_signal(signal.SIGKILL)
    wait_until(lambda: ended(pid), TIMEOUT_S, f"process {pid} to be gone")


def ended(pid: int) -> bool:
    """Also when nobody has asked for its exit code yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on now."""
    for first in random.sample(_PORTS, 1000):
        if all(_is_free(first + number) for number in range(count)):
            return first
    raise AssertionError(f"no {count} ports in a row are free in {_PORTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
