"""The sandbox's ClickHouse as the run sees it: killed, and started again on its data."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests import servers
from tests.analytics.chaos.answers import Answers
from tests.analytics.chaos.tables import LookedUp


class Database:
    """On one directory and, after its first start, one port. As a context manager it starts, and stops."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self._pid = 0
        self.url = ""

    def start(self) -> None:
        port = str(urlsplit(self.url).port) if self.url else "0"
        options = ("--data", str(self._directory / "data"), "--port", port)
        server = servers.running("sandbox.clickhouse", *options, log=self._directory / "clickhouse.log")
        running = self._stack.enter_context(server)
        self.url, self._pid = running.address, running.pid
        self.answers = self._stack.enter_context(Answers(self.url))

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        os.kill(self._pid, signal.SIGKILL)
        self._stack.close()

    def look_up(self, told: Sequence[LookedUp]) -> None:
        """As `notifystream carriers` writes them, in one insert."""
        rows = [told_._replace(hour=told_.hour // 1000) for told_ in told]
        self.answers.client.insert("notification_carriers", rows, column_names=LookedUp._fields)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
