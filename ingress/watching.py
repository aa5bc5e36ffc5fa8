"""What the metrics show of the parts that keep records, asked for when somebody looks."""

import time

from ingress.accounts_file import AccountsFile
from ingress.journal import Journal
from ingress.keeping import Keeper
from ingress.metrics import Gauge, Metrics, Total
from ingress.publisher import Publisher


def watch(
    metrics: Metrics, accounts: AccountsFile, journal: Journal, keeper: Keeper, publisher: Publisher
) -> None:
    """From now on gauges and totals show these."""
    metrics.watch_total(Total.ACCOUNTS_REFUSED, lambda: accounts.refused)
    metrics.watch_total(Total.JOURNAL_DAMAGED, lambda: journal.damaged)
    metrics.watch(Gauge.JOURNAL_ENTRIES, lambda: journal.depth)
    metrics.watch(Gauge.JOURNAL_BYTES, lambda: journal.size_bytes)
    metrics.watch(Gauge.JOURNAL_AGE, lambda: oldest_age_s(journal))
    metrics.watch(Gauge.JOURNAL_TROUBLE, lambda: journal.trouble is not None)
    metrics.watch(Gauge.BROKER_AWAY, lambda: keeper.to_journal is not None)
    metrics.watch(Gauge.IN_FLIGHT, lambda: publisher.in_flight)


def oldest_age_s(journal: Journal) -> float:
    """How long the oldest entry has waited; 0 for none."""
    oldest = journal.oldest_received_at
    return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)
