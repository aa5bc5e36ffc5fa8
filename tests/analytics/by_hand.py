"""Rows put into their tables one by one, without the sink: for tests of what reads or erases them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sinks.analytics.tables import TABLES, Row


def put(client: Any, rows: Iterable[Row]) -> None:
    for row in rows:
        client.insert(
            TABLES[type(row)],
            [list(row)],
            column_names=list(row._fields),
            settings={"async_insert": 0, "wait_end_of_query": 1},
        )
