"""The sandbox's ClickHouse as the run sees it: killed, started again on its data, and asked."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import clickhouse_connect

from sinks.analytics.rollups import refresh
from tests import servers
from tests.analytics.chaos.tables import Row, Shape
from tests.waiting import wait_until

_LONGEST_QUESTION_S = 300
_SUMMED_WITHIN_S = 120.0


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

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        os.kill(self._pid, signal.SIGKILL)
        self._stack.close()

    def ask(self, sql: str) -> list[Row]:
        """Raises what clickhouse-connect raises."""
        with closing(self._client()) as client:
            columns = client.query(sql, column_oriented=True).result_set
            return list(zip(*columns, strict=True))

    def sum_up(self) -> None:
        """Every touched hour, as the sink would in time; nobody else may write meanwhile."""
        with closing(self._client()) as client:

            def all_summed() -> bool:
                refreshed = refresh(client, settles_ms=0)
                return refreshed.hours == refreshed.left == 0

            wait_until(all_summed, _SUMMED_WITHIN_S, "every touched hour to be summed")

    def rows(self, shape: Shape) -> list[Row]:
        """All of a table or view, as it stands after every merge to come."""
        return [shape.row._make(map(_plain, row)) for row in self.ask(shape.select())]  # type: ignore[attr-defined]

    def count(self, tables: tuple[str, ...]) -> dict[str, int]:
        """Rows that lie there, copies that no merge has met yet included."""
        each = " UNION ALL ".join(f"SELECT '{table}', count() FROM {table}" for table in tables)  # noqa: S608
        return {str(table): int(rows) for table, rows in self.ask(each)}

    def _client(self) -> Any:
        parts = urlsplit(self.url)
        return clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port,
            autogenerate_session_id=False,
            send_receive_timeout=_LONGEST_QUESTION_S,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
