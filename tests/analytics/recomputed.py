"""What every table must hold, worked out from the topics alone, and what it does hold, in the same form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.errors import WireError
from schemas.topics import Topic
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import LANDINGS
from sinks.analytics.tables import (
    TABLES,
    DeadLetterRow,
    MessageRow,
    NotificationRow,
    OutcomeHistoryRow,
    Row,
)
from tests.analytics.world import KEY, World


def _identity(row: Row) -> tuple[Any, ...]:
    """What makes two rows copies of one another, in words of the design rather than of the tables."""
    match row:
        case MessageRow():
            return (row.notification_id, row.attempt)
        case NotificationRow():
            return (row.notification_id,)
        case OutcomeHistoryRow():
            return (row.notification_id, row.version)
        case DeadLetterRow():
            return (row.stage, row.topic, row.partition, row.offset)
        case _:
            return (row.kafka_topic, row.kafka_partition, row.kafka_offset)


def _version(row: Row) -> int:
    match row:
        case MessageRow() | NotificationRow():
            return row.version
        case DeadLetterRow():
            return row.kafka_offset
        case _:
            return 0


def wanted(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every table by name, sorted, from what the topics hold now."""
    privacy = Privacy(KEY)
    standing: dict[str, dict[tuple[Any, ...], Row]] = {table: {} for table in TABLES.values()}
    for topic in LANDINGS:
        for place, value in world.read(Topic(topic)):
            try:
                rows = LANDINGS[topic](world.codec, value, place, privacy)
            except WireError:
                continue
            for row in rows:
                rows_of_table = standing[TABLES[type(row)]]
                identity = _identity(row)
                if identity not in rows_of_table or _version(rows_of_table[identity]) < _version(row):
                    rows_of_table[identity] = row
    return {table: _sorted(map(tuple, rows.values())) for table, rows in standing.items()}


def held(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every table by name, sorted, as ClickHouse answers with FINAL."""
    answer = {}
    for row_type, table in TABLES.items():
        columns = ", ".join(row_type._fields)
        rows = world.clickhouse.query(f"SELECT {columns} FROM {table} FINAL")  # noqa: S608
        answer[table] = _sorted(tuple(map(_plain, row)) for row in rows)
    return answer


def _sorted(rows: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return str(value) if isinstance(value, str) else value
