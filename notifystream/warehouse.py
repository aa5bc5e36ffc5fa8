"""ClickHouse for the commands that only read it."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from notifystream.console import WRONG_USE, fail, require, settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@contextlib.contextmanager
def clickhouse(answer_s: int | None = None) -> Iterator["Client"]:
    """A client; whatever ClickHouse answers badly ends the command with what it said.

    `answer_s` is how long an answer may take, when that is to be longer than the services wait.
    """
    (url,) = require(settings(), "clickhouse_url")
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from sinks.analytics.clickhouse import connect, public
    from sinks.analytics.errors import ClickHouseAway

    try:
        client = connect(url) if answer_s is None else connect(url, answer_s)
    except ClickHouseAway as away:
        fail(f"ClickHouse is not reachable at {public(url)}: is it up, and is CLICKHOUSE_URL right?\n{away}")
    except ValueError as wrong:
        fail(f"CLICKHOUSE_URL: {wrong}", WRONG_USE)
    try:
        yield client
    except ClickHouseError as refused:
        fail(f"ClickHouse at {public(url)}: {_first_words(str(refused))}{_hint(str(refused))}")
    finally:
        client.close()


def _first_words(message: str) -> str:
    """ClickHouse's own words; the driver wraps them in its own and repeats the URL."""
    found = re.search(r"(?:Code: \d+\. )?DB::Exception: (.*)", message, re.DOTALL)
    return found[1].strip() if found else message


def _hint(message: str) -> str:
    """What to do where it is more than what was asked for that is wrong."""
    if "UNKNOWN_TABLE" not in message:
        return ""
    return (
        "\nIf this is one of the pipeline's tables or views, the database has none yet or those of an older "
        "release: run `notifystream analytics migrate`"
    )
