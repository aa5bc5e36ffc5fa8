"""When the sink sums touched hours again: now and then, between two batches.

Guarantees: what goes wrong here holds no record up: it is logged and counted, and tried again after the next
interval; meanwhile reports read the rows of the touched hours, exact but slower. One call takes as long as
ClickHouse needs for a day's hours, or one time-out of its client. Leaves the work to `rollups`.
"""

import logging

import urllib3.exceptions
from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.analytics import metrics
from sinks.analytics.clickhouse import connect, said
from sinks.analytics.errors import AnalyticsError
from sinks.analytics.rollups import SETTLES_MS, Refreshed, refresh

log = logging.getLogger(__name__)

EVERY_S = 30.0
# While there is more to do than one call does: an hour of batches is not held up by it.
SOON_S = 2.0


class Refresher:
    """For one thread. The first refresh is one interval after the first call."""

    def __init__(self, url: str, settles_ms: int = SETTLES_MS) -> None:
        self._url = url
        self._settles_ms = settles_ms
        self._due_s: float | None = None

    def between_batches(self, now_s: float) -> None:
        """Refresh when it is time, by a clock that never goes back."""
        if self._due_s is None:
            self._due_s = now_s + EVERY_S
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        try:
            refreshed = self._refresh()
        except (AnalyticsError, ClickHouseError, urllib3.exceptions.HTTPError, OSError) as failed:
            metrics.WAITS.labels("refresh").inc()
            log.warning(
                "hours were not summed, reports read their rows: %s; again in %g s", said(failed), EVERY_S
            )
        else:
            if refreshed.behind:
                self._due_s = now_s + SOON_S

    def _refresh(self) -> Refreshed:
        client = connect(self._url)
        try:
            return refresh(client, settles_ms=self._settles_ms)
        finally:
            client.close()
