"""The way to ClickHouse over HTTP: connect by URL, insert a block, tell what a failure means.

Guarantees: an insert that returns is in the table (async_insert=0, the end of the query awaited); a failure
is either ClickHouseAway (try again) or RowsRefused (never as it is). Leaves to the caller: what to do then.
"""

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DataError,
    Error,
    NotSupportedError,
    ProgrammingError,
)

from sinks.analytics.errors import ClickHouseAway, RowsRefused
from sinks.analytics.frames import arrow_stream, frame_of, insert_statement
from sinks.analytics.tables import Row

CONNECT_S = 5
# Far below Kafka's max.poll.interval.ms (300 s): a hanging insert must not cost the partitions.
ANSWER_S = 60
# "Try again", as the official Kafka connector has it (facts, ClickHouse).
RETRYABLE = frozenset({3, 107, 159, 164, 202, 203, 209, 210, 241, 242, 252, 285, 319, 425, 999})
# What no row can be blamed for: the table is not what we think (8, 10, 16, 20, 44, 47, 53, 60, 81, 218); the
# statement, its format or a setting is not known there (46, 48, 62, 73, 115); user, password, access (192,
# 193, 194, 497, 516); disk (243); stopped from outside (236, 394). Somebody mends it, and nothing is lost.
NOT_THE_ROWS = frozenset(
    {8, 10, 16, 20, 44, 46, 47, 48, 53, 60, 62, 73, 81, 115} | {192, 193, 194, 218, 236, 243, 394, 497, 516}
)

INSERT_SETTINGS = {
    "async_insert": 0,
    "wait_end_of_query": 1,
    # A replay after a long absence may span more months than the default of 100 partitions a block.
    "max_partitions_per_insert_block": 0,
    # A repeated block is dropped in the tables behind a materialized view too, when they have a window.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}


def connect(url: str, answer_s: int = ANSWER_S) -> Client:
    """A client for `http[s]://user:password@host:port/database`; for one thread at a time.

    Raises ClickHouseAway when nothing answers there, ValueError when it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{public(url)!r} is not where a ClickHouse is: expected http://user:password@host:8123/database"
        )
    secure = parts.scheme == "https"
    try:
        return clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or (8443 if secure else 8123),
            secure=secure,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
            database=database_of(url),
            connect_timeout=CONNECT_S,
            send_receive_timeout=answer_s,
            # Sessions forbid two queries at once and keep nothing we use.
            autogenerate_session_id=False,
        )
    except (ClickHouseError, urllib3.exceptions.HTTPError, OSError) as away:
        raise ClickHouseAway(f"ClickHouse at {public(url)}: {said(away)}") from away


def database_of(url: str) -> str:
    """The database the URL's path names, `default` without."""
    return unquote(urlsplit(url).path.strip("/")) or "default"


def insert(client: Client, rows: Sequence[Row], token: str) -> None:
    """Insert rows of one type into their table, as one block under `token`, as `insert_block` does."""
    row_type = type(rows[0])
    block = arrow_stream(frame_of(row_type, rows, range(len(rows))))
    insert_block(client, insert_statement(row_type), block, token)


def insert_block(client: Client, statement: str, block: bytes, token: str) -> None:
    """Insert one block: the data that `statement`, an INSERT with a FORMAT, waits for.

    `token` names exactly these rows: ClickHouse drops a repeat of it whole, here and in what hangs on the
    table. Raises ClickHouseAway or RowsRefused; after either, the rows may or may not be in.
    """
    settings = INSERT_SETTINGS | {"insert_deduplication_token": token}
    try:
        client.command(statement, data=block, settings=settings)
    except Error as refused:
        raise judged(refused, statement[:40]) from refused
    except (urllib3.exceptions.HTTPError, OSError) as away:
        raise ClickHouseAway(f"{statement[:40]}: {said(away)}") from away


def judged(error: Error, doing: str) -> ClickHouseAway | RowsRefused:
    """What ClickHouse's error says about the rows."""
    message = f"{doing}: {said(error)}"
    if error.code is None:
        # Not from ClickHouse: the client could not build the block, or the way there failed.
        ours = isinstance(error, (DataError, ProgrammingError, NotSupportedError))
        return RowsRefused(message) if ours else ClickHouseAway(message)
    if error.code in RETRYABLE or error.code in NOT_THE_ROWS:
        return ClickHouseAway(message)
    return RowsRefused(message)


def public(url: str) -> str:
    """The URL without its user and password, for messages."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def said(error: BaseException) -> str:
    """An error in one line, cut to what fits a log."""
    return f"{type(error).__name__}: {str(error)[:500]}"
