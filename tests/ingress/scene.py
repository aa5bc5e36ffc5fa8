"""One ingress under load on the real Kafka: what a test of crashes does to it, and how it looks afterwards.

Guarantees: the ingress has the same port and the same journal through all its lives; `settle` returns when
the journal is empty and the broker acknowledges again, and `verdict` compares everything with the topic.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx2

from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests import servers
from tests.ingress.callers import Callers, Posted, step_of
from tests.ingress.ledger import Verdict, judge
from tests.ingress.outages import make_topics, options
from tests.ingress.topic import TopicReader
from tests.kafka.broker import KafkaHandle
from tests.kafka.server import choose_ports
from tests.waiting import wait_until

SERVE = "tests.ingress.serve"
RATE = 500
# What drains in seconds takes a minute while others use the machine.
SETTLE_S = 100


@dataclass(slots=True)
class Scene:
    """The parts, to be played with."""

    broker: KafkaHandle
    registry: str
    journal: Path
    module: str
    more: tuple[str, ...]
    # Below the ports of outgoing connections, one of which could take it while the ingress is down.
    port: int = field(default_factory=lambda: choose_ports().broker)
    _running: ExitStack = field(default_factory=ExitStack)
    _pid: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_ingress(self) -> None:
        given = options(self.broker.bootstrap, self.registry, self.journal, "--port", str(self.port))
        started = servers.running(self.module, *given, *self.more, log=self.journal.with_suffix(".log"))
        self._pid = self._running.enter_context(started).pid

    def kill_ingress(self) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        self._running.close()

    def close(self) -> None:
        self._running.close()

    def metric(self, name: str) -> float:
        lines = httpx2.get(f"{self.url}/metrics", timeout=20).text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    def readiness(self) -> int:
        return httpx2.get(f"{self.url}/readyz", timeout=20).status_code

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the ingress logged in all its lives."""
        log = self.journal.with_suffix(".log")
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def settle(self, callers: Callers) -> None:
        """Return when the journal drained, by itself and under load, and the broker acknowledges again."""
        names = ("ingress_journal_entries", "ingress_broker_away", "ingress_journal_trouble")
        wait_until(lambda: not any(map(self.metric, names)), SETTLE_S, "the journal to drain")
        acknowledged = 'ingress_requests_total{result="acknowledged",route="status"}'
        enough = self.metric(acknowledged) + RATE
        wait_until(lambda: self.metric(acknowledged) > enough, SETTLE_S, "webhooks to be acknowledged again")

    def verdict(self, callers: Callers) -> Verdict:
        """After the callers have ended. What they posted last may be in the journal still."""
        wait_until(lambda: not self.metric("ingress_journal_entries"), SETTLE_S, "the journal to drain")
        with TopicReader(self.broker.bootstrap, self.registry) as reader:
            found = reader.all(Topic.STATUS, ProviderStatus, callers.acknowledged)
        return judge(callers.acknowledged, ((key, step_of(record.status)) for key, record in found))


@contextmanager
def scene(
    broker: KafkaHandle, registry: str, directory: Path, *more: str, module: str = SERVE
) -> Iterator[Scene]:
    """A started ingress with its journal in `directory`; `more` are options of its module."""
    make_topics(broker)
    directory.mkdir(exist_ok=True)
    played = Scene(broker, registry, directory, module, more)
    try:
        played.start_ingress()
        wait_until(lambda: played.readiness() == 200, 30, "the schemas to be registered")
        yield played
    except BaseException:
        print(f"the ingress's log ends:\n{played.log_tail()}")
        raise
    finally:
        played.close()


def wait_for_load(callers: Callers, more: int = RATE) -> None:
    """Until so many more webhooks were kept."""
    enough = callers.kept + more
    wait_until(lambda: callers.kept >= enough, 60, f"{more} more webhooks to be kept")


def stay(seconds: float) -> None:
    """Let the outage last: the time itself is what is to be shown."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, seconds + 10, "the outage to last")


def described(posted: list[Posted]) -> str:
    if not posted:
        return "nothing posted"
    seconds = sorted(one.seconds for one in posted)
    return (
        f"{len(seconds)} answers, median {median(seconds) * 1000:.1f} ms, "
        f"p99 {seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms, longest {seconds[-1]:.2f} s"
    )
