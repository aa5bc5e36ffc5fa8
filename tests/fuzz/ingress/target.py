"""The ingress under test, from outside: started and ready, its memory, its log.

Guarantees: nothing is sent before it can keep records; it has ended, and with it all that it had under way,
when the `with` block ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from ingress.accepted import RECORDS
from tests import servers
from tests.fuzz.ingress.sdk import TOKENS
from tests.waiting import wait_until

READY_S = 30.0
# The process may grow by this while it is fuzzed: its caches, its producer's queue, some batches of 1 MiB on
# their way at once, and what the allocator keeps of them.
MOST_GROWTH = 160 * 2**20
# And its log: one line per reason in ten seconds, and a few besides, whatever is sent.
LARGEST_LOG = 2**20
# Parts of every number and of every text of the generator (`values.phone`, `wire.marker`).
_CONTENT = (b"+1415555", b"70371")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run goes: a broker and a registry that are there, and a directory for the ingress's log."""

    bootstrap: str
    registry: str
    directory: Path


@contextmanager
def place_in(directory: Path, bootstrap: str | None = None, registry: str | None = None) -> Iterator[Place]:
    """With an embedded broker and registry where none is given; they end with the `with` block."""
    with ExitStack() as at_end:
        if registry is None:
            log = directory / "registry.log"
            registry = at_end.enter_context(servers.running("sandbox.registry", log=log)).address
        if bootstrap is None:
            topics = [option for topic in RECORDS for option in ("--topic", topic)]
            broker = servers.running("sandbox.broker", *topics, log=directory / "broker.log")
            bootstrap = at_end.enter_context(broker).address
        yield Place(bootstrap, registry, directory)


class Target:
    """A running ingress at `address`, a URL; `log` is there also when it has ended."""

    def __init__(self, server: servers.Server) -> None:
        self.address = server.address
        self.log = server.log
        self._process = psutil.Process(server.pid)

    def metrics(self) -> bytes:
        """Raises httpx2.HTTPError when they are not told."""
        return httpx2.get(f"{self.address}/metrics", timeout=READY_S).raise_for_status().content

    def memory(self) -> int:
        """Resident, in bytes. Raises psutil.NoSuchProcess when the process is gone."""
        return int(self._process.memory_info().rss)


@contextmanager
def target(place: Place, name: str = "ingress") -> Iterator[Target]:
    """Raises servers.ServerFailedError when it does not start, or ends by itself."""
    options = ("--bootstrap", place.bootstrap, "--registry", place.registry)
    with servers.running("tests.fuzz.ingress.serve", *options, log=place.directory / f"{name}.log") as server:
        wait_until(
            lambda: httpx2.get(f"{server.address}/readyz", timeout=READY_S).status_code == 200,
            READY_S,
            "the ingress to be ready",
        )
        yield Target(server)


def wrong_with_memory(before: int, highest: int) -> Iterator[str]:
    """`before` is 0 in a run too short to tell."""
    if before and highest - before > MOST_GROWTH:
        yield f"the ingress grew by {(highest - before) >> 20} MB, more than {MOST_GROWTH >> 20}"


def wrong_with_log(content: bytes) -> Iterator[str]:
    """No flood, and nothing that may not be told."""
    if len(content) > LARGEST_LOG:
        yield f"the log has {len(content)} bytes: whoever sends rubbish fills the disk"
    yield from reveals(content, "the log")


def reveals(content: bytes, where: str) -> Iterator[str]:
    """Secrets, phone numbers and what a webhook said, which belong neither in the log nor in the metrics."""
    if any(token.encode() in content for tokens in TOKENS.values() for token in tokens):
        yield f"an auth token stands in {where}"
    for text in _CONTENT:
        if text in content:
            yield f"content of webhooks ({text.decode()}…) stands in {where}"
