"""The world of these tests, fresh for each: broker, registry, ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics import world


@pytest.fixture
def around(tmp_path: Path) -> Iterator[world.World]:
    with world.world(tmp_path) as servers:
        yield servers
