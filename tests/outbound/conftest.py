"""The servers around the outbound sink."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import servers
from tests.outbound.simulator import Simulator, simulating


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.running("sandbox.registry", log=tmp_path_factory.mktemp("registry") / "log") as server:
        yield server.address


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The quiet one, for all who use numbers of their own: no chaos, short delays."""
    log = tmp_path_factory.mktemp("carrier") / "log"
    with simulating(log, "--seed", "7", "--time-scale", "0.01") as running:
        yield running
