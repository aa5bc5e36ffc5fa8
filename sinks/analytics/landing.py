"""Puts a batch into ClickHouse, and finds the records it will never take.

Guarantees: when `land` returns, every row of the batch is in its table, except those of the records it hands
back. Leaves to the sink: what becomes of those, and to call again while ClickHouse is away (harmless).
"""

import hashlib
from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from sinks.analytics import metrics
from sinks.analytics.batch import Batch, Entry, Given
from sinks.analytics.clickhouse import connect, insert
from sinks.analytics.errors import ClickHouseAway, RowsRefused
from sinks.analytics.rows import Place
from sinks.analytics.tables import TABLES, Row


class Lander:
    """Holds the connection; opens it again after it failed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def land(self, batch: Batch) -> tuple[Given, ...]:
        """Insert table by table; returns the records of refused rows, each once, with ClickHouse's reason.

        Raises ClickHouseAway: then call again with the same batch.
        """
        refused: dict[Place, Given] = {}
        try:
            for row_type, rows in batch.by_table().items():
                poison = self._insert(rows)
                metrics.ROWS_LANDED.labels(TABLES[row_type]).inc(len(rows) - len(poison))
                for given in poison:
                    refused.setdefault(given.record.place, given)
        except ClickHouseAway:
            self.close()
            raise
        return tuple(refused.values())

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _insert(self, rows: Sequence[tuple[Row, Entry]]) -> list[Given]:
        """Insert what can be inserted; the rest is found by halving."""
        try:
            insert(self._connected(), [row for row, _ in rows], _token([entry for _, entry in rows]))
        except RowsRefused as refused:
            if len(rows) == 1:
                return [Given(rows[0][1].record, "insert-refused", str(refused))]
            half = len(rows) // 2
            return self._insert(rows[:half]) + self._insert(rows[half:])
        return []

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._url)
        return self._client


def _token(entries: Sequence[Entry]) -> str:
    """Names these records: their places, and their bytes, for a topic made anew counts from 0 again."""
    digest = hashlib.blake2b(digest_size=16)
    for entry in entries:
        digest.update(repr(entry.record.place).encode())
        digest.update(entry.record.value or b"")
    return digest.hexdigest()
