"""How long the reports take over a month of generated traffic, on the sandbox's ClickHouse.

`python -m bench.analytics.reports --rows 1000000` prints seconds by report. The hours are settled when the
reports are asked, but for the one the window begins in and the one it ends in, which are cut.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
import psutil
from clickhouse_connect.driver.client import Client

from bench.analytics.generate import DAYS, generate
from sinks.analytics.migrate import migrate
from sinks.analytics.reports import ReportName, report
from sinks.analytics.rollups import refresh
from tests.servers import running

REPEATS = 3
# A generation of many hours at once: nobody waits for a batch here.
HOURS_AT_ONCE = 48


class Reports(msgspec.Struct, frozen=True, kw_only=True):
    """`report_s`: the median of the repetitions, by report. `rss_mb`: of ClickHouse, after the reports."""

    rows: int
    messages: int
    generate_s: float
    refresh_s: float
    report_s: dict[str, float]
    rss_mb: float


def measured(rows: int, tell: Callable[[str], None]) -> Reports:
    """Everything of one run, in a ClickHouse of its own, whose data go when it ends.

    `tell` hears how far it is.
    """
    with tempfile.TemporaryDirectory(prefix="bench-reports-") as folder:
        here = Path(folder)
        options = ("--data", str(here / "data"), "--port", "0")
        with running("sandbox.clickhouse", *options, log=here / "clickhouse.log") as server:
            migrate(server.address)
            place = urlsplit(server.address)
            client = clickhouse_connect.get_client(
                host=place.hostname or "",
                port=place.port or 0,
                # A million messages at once take longer than any sink would wait.
                send_receive_timeout=1_800,
                autogenerate_session_id=False,
            )
            try:
                return _measured(client, rows, psutil.Process(server.pid), tell)
            finally:
                client.close()


def _measured(client: Client, rows: int, server: psutil.Process, tell: Callable[[str], None]) -> Reports:
    # The first one looks for what was there before the hourly tables.
    refresh(client, settles_ms=0)
    now = datetime.now(UTC)
    started = time.monotonic()
    messages = generate(client, rows, round(now.timestamp() * 1000))
    generated = time.monotonic()
    tell(f"generated in {generated - started:.0f} s")
    # Nobody else writes: what is touched is visible.
    while left := refresh(client, settles_ms=0, limit=HOURS_AT_ONCE).left:
        tell(f"{left} hours left to be summed")
    refreshed = time.monotonic()
    tell(f"summed in {refreshed - generated:.0f} s")
    since = now - timedelta(days=DAYS)
    times = {
        str(name): median(_seconds(client, name, since, now) for _ in range(REPEATS)) for name in ReportName
    }
    return Reports(
        rows=rows,
        messages=messages,
        generate_s=round(generated - started, 1),
        refresh_s=round(refreshed - generated, 1),
        report_s=times,
        rss_mb=round(server.memory_info().rss / 2**20),
    )


def _seconds(client: Client, name: ReportName, since: datetime, now: datetime) -> float:
    started = time.monotonic()
    if not report(client, name, since, until=now, now=now).rows and name is not ReportName.ANOMALIES:
        raise AssertionError(f"the report {name} is empty over generated rows: nothing was measured")
    return round(time.monotonic() - started, 3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.analytics.reports", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="status events (default: %(default)s)")
    chosen = parser.parse_args()
    made = measured(chosen.rows, lambda line: print(line, file=sys.stderr))
    print(msgspec.json.format(msgspec.json.encode(made)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
