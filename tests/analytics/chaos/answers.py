"""Asking the database: rows as the shapes have them, counts, and the sums of every touched hour."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import clickhouse_connect

from sinks.analytics.rollups import refresh
from tests.analytics.chaos.shapes import Shape
from tests.analytics.chaos.tables import Row
from tests.waiting import wait_until

_LONGEST_QUESTION_S = 300
_SUMMED_WITHIN_S = 120.0


class Answers:
    """One connection, for one thread and as long as the server lives. Methods raise what clickhouse-connect
    raises."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.client: Any = clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port,
            autogenerate_session_id=False,
            send_receive_timeout=_LONGEST_QUESTION_S,
        )

    def ask(self, sql: str) -> list[Row]:
        columns = self.client.query(sql, column_oriented=True).result_set
        return list(zip(*map(_plain, columns), strict=True))

    def rows(self, shape: Shape) -> list[Row]:
        """All of a table or view, as it stands after every merge to come."""
        return self.ask(shape.select())

    def count(self, tables: tuple[str, ...]) -> dict[str, int]:
        """Rows that lie there, copies that no merge has met yet included."""
        each = " UNION ALL ".join(f"SELECT '{table}', count() FROM {table}" for table in tables)  # noqa: S608
        return {str(table): int(rows) for table, rows in self.ask(each)}

    def tables(self) -> list[str]:
        """The names of all tables and views that can be read."""
        read = "database = currentDatabase() AND engine != 'MaterializedView'"
        return [str(name) for (name,) in self.ask(f"SELECT name FROM system.tables WHERE {read}")]  # noqa: S608

    def sum_up(self) -> None:
        """Every touched hour, as the sink would in time; nobody else may write meanwhile."""

        def all_summed() -> bool:
            refreshed = refresh(self.client, settles_ms=0)
            return refreshed.hours == refreshed.left == 0

        wait_until(all_summed, _SUMMED_WITHIN_S, "every touched hour to be summed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()


def _plain(column: Any) -> Any:
    """Arrays as tuples, as the recomputation has them; the values of a column are of one type."""
    return list(map(tuple, column)) if len(column) and isinstance(column[0], list) else column
