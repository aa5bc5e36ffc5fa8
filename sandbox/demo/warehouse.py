"""The demo's look into ClickHouse: is everything there, and what does an analyst see?"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from sinks.analytics.clickhouse import connect
from sinks.analytics.reports import Report, ReportName, report
from sinks.analytics.rollups import refresh

_POLL_S = 0.3
# The first gives the hours their prices, which touches them.
_SUMMINGS = 3


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


class Warehouse:
    """What an analyst asks for. A context manager; for one thread."""

    def __init__(self, url: str) -> None:
        self._client = connect(url)

    def reports(self, since: int, now: int) -> dict[ReportName, Report]:
        """Every report over what was requested since then, as of now. Times in ms since the epoch."""
        begin, moment = (datetime.fromtimestamp(at / 1000, UTC) for at in (since, now))
        return {name: report(self._client, name, begin, now=moment) for name in ReportName}

    def sum_up(self) -> bool:
        """Make the sums of all touched hours now; False when some are touched again and again."""
        return any(refresh(self._client, settles_ms=0).left == 0 for _ in range(_SUMMINGS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
