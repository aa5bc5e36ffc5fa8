"""One analytics sink of a run, whole or with a promise broken: `python -m tests.analytics.chaos.serve …`.

Prints READY once the group has given it partitions; ends with exit 0 on SIGTERM and at the end of stdin.
"""

from __future__ import annotations

import argparse
import logging
import sys

from sandbox.serving import announce, end_with_stdin, ending
from schemas.clients import Config, Kafka
from tests.analytics.chaos.sabotage import SABOTAGE
from tests.analytics.chaos.terms import GROUP, HEARTBEAT_S, KEY, SESSION_TIMEOUT_S


class _QuicklyMissed(Kafka, frozen=True, kw_only=True):
    """The group waits for a killed member no longer than it must."""

    def consumer(self, client_id: str, group: str) -> Config:
        own = {
            "session.timeout.ms": int(SESSION_TIMEOUT_S * 1000),
            "heartbeat.interval.ms": int(HEARTBEAT_S * 1000),
        }
        return super().consumer(client_id, group) | own


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.analytics.chaos.serve")
    for name in ("bootstrap", "registry", "clickhouse"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batch-rows", type=int, required=True)
    parser.add_argument("--batch-s", type=float, required=True)
    parser.add_argument("--sabotage", choices=SABOTAGE)
    options = parser.parse_args()
    if options.sabotage is not None:
        SABOTAGE[options.sabotage]()
    from sinks.analytics.config import AnalyticsConfig
    from sinks.analytics.sink import run

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    stop = ending()
    end_with_stdin()
    config = AnalyticsConfig(
        kafka=_QuicklyMissed(bootstrap_servers=options.bootstrap),
        schema_registry_url=options.registry,
        clickhouse_url=options.clickhouse,
        pii_hash_key=KEY,
        batch_rows=options.batch_rows,
        batch_s=options.batch_s,
        group=GROUP,
    )
    run(config, announce, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
