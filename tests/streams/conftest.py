"""The worlds of these tests, on each kind of broker: one around a running worker, and a bare one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.codec import Codec
from tests.servers import running
from tests.streams import world
from tests.streams.world import World

ON_BOTH = [pytest.param("embedded"), pytest.param("real", marks=pytest.mark.broker)]
MAKERS = {"embedded": world.on_the_embedded_broker, "real": world.on_a_real_broker}


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("registry") / "stderr.log"
    with running("sandbox.registry", log=log) as server:
        yield server.address


@pytest.fixture
def codec(registry: str) -> Iterator[Codec]:
    made = Codec(registry)
    yield made
    made.close()


@pytest.fixture(scope="module", params=ON_BOTH)
def working(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which the processors run."""
    directory = tmp_path_factory.mktemp(f"streams-{request.param}")
    with MAKERS[request.param](directory) as around, world.streams(around, directory):
        yield around


@pytest.fixture(scope="module", params=ON_BOTH)
def quiet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which nobody works but the test."""
    with MAKERS[request.param](tmp_path_factory.mktemp(f"quiet-{request.param}")) as around:
        yield around
