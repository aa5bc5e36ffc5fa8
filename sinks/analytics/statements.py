"""Statements of the sums by hour: with the settings they need, and how far each kind of work has come.

Guarantees: a statement that returns is done and visible on this server. Leaves to the callers what they say.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_SETTINGS = {"async_insert": 0, "wait_end_of_query": 1, "max_partitions_per_insert_block": 0}


def query(client: "Client", sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql).result_rows]


def command(client: "Client", sql: str) -> None:
    client.command(sql, settings=_SETTINGS)


def now(client: "Client") -> int:
    """The server's clock, which also stamps the touches. Microseconds since the epoch."""
    return int(query(client, "SELECT toUnixTimestamp64Micro(now64(6))")[0][0])


def progress(client: "Client", name: str) -> int:
    """How far the work of this name has come: microseconds since the epoch, 0 when it has not begun."""
    sql = f"SELECT max(toUnixTimestamp64Micro(as_of)) FROM rollup_progress WHERE name = '{name}'"  # noqa: S608
    return int(query(client, sql)[0][0])


def proceed(client: "Client", name: str, as_of: int) -> None:
    """Note how far it has come. A lower time than the one noted changes nothing."""
    command(client, f"INSERT INTO rollup_progress SELECT '{name}', fromUnixTimestamp64Micro({as_of})")
