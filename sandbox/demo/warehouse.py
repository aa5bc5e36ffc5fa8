"""The demo's look into ClickHouse: is everything there, and what does an analyst see?"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from sinks.analytics.clickhouse import connect
from sinks.analytics.reports import Report, ReportName, report

_POLL_S = 0.3


class NotLanded(Exception):
    """ClickHouse does not hold all outcomes; the message says how many are missing."""


def wait_for(url: str, versions: Mapping[str, int], seconds: float, check: Callable[[], None]) -> None:
    """Return once every notification is in ClickHouse in at least this version.

    Raises NotLanded after `seconds`, or what `check` raises when a process died.
    """
    client = connect(url)
    try:
        deadline = time.monotonic() + seconds
        while True:
            check()
            rows = client.query("SELECT notification_id, version FROM notifications FINAL").result_rows
            landed = {str(identity): int(version) for identity, version in rows}
            missing = sum(landed.get(identity, -1) < version for identity, version in versions.items())
            if missing == 0:
                return
            if time.monotonic() > deadline:
                raise NotLanded(
                    f"{missing} of {len(versions)} outcomes are not in ClickHouse after {seconds:g} s; "
                    "see the log of analytics"
                )
            time.sleep(_POLL_S)
    finally:
        client.close()


def carriers(url: str) -> Report:
    """Deliverability by carrier over the last day, as `notifystream report carriers` has it."""
    client = connect(url)
    try:
        return report(client, ReportName.CARRIERS, datetime.now(UTC) - timedelta(days=1))
    finally:
        client.close()
