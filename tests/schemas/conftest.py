"""A schema registry for these tests, as its own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from schemas.codec import Codec
from tests.servers import running


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("registry") / "stderr.log"
    with running("sandbox.registry", log=log) as server:
        yield server.address


@pytest.fixture
def registry_client(registry: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry}) as client:
        yield client


@pytest.fixture
def codec(registry: str) -> Iterator[Codec]:
    made = Codec(registry)
    yield made
    made.close()
