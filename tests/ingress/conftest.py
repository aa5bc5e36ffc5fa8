"""A running ingress on the embedded broker, and a reader of what it wrote."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from ingress.accepted import RECORDS
from tests import servers
from tests.ingress.topic import TopicReader


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("registry") / "stderr.log"
    with servers.running("sandbox.registry", log=log) as server:
        yield server.address


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded broker of our own: on a shared one the topics hold records of other registries."""
    topics = [option for topic in RECORDS for option in ("--topic", topic)]
    with servers.running("sandbox.broker", *topics, log=tmp_path_factory.mktemp("kafka") / "log") as server:
        yield server.address


@pytest.fixture(scope="session")
def ingress(kafka: str, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """One ingress for all tests that only ask it something."""
    log = tmp_path_factory.mktemp("ingress") / "stderr.log"
    with servers.running(
        "tests.ingress.serve", "--bootstrap", kafka, "--registry", registry, log=log
    ) as server:
        yield server


@pytest.fixture
def client(ingress: servers.Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=ingress.address, timeout=20) as connected:
        yield connected


@pytest.fixture
def written(kafka: str, registry: str) -> Iterator[TopicReader]:
    with TopicReader(kafka, registry) as reader:
        yield reader
