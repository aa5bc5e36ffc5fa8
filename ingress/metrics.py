"""Every metric of the ingress, in one table, and how it is shown to Prometheus.

Guarantees: a registry of its own per instance, so that two applications in one process count apart.
Labels are closed lists: nothing from outside becomes a label. Counting is for the event loop only.

Counts are plain integers that become metrics when somebody asks: prometheus_client's own counters and
histograms take a lock at each step, which together cost a tenth of a webhook.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric

from ingress.accepted import Oddity, Reply
from ingress.guarding import Fault
from ingress.refusals import Reason

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# From what one broker on the same machine takes to what Twilio waits at most.
ACK_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


class Webhook(StrEnum):
    STATUS = "status"
    INBOUND = "inbound"
    VOICE = "voice"
    EVENTS = "events"


class Result(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    JOURNALED = "journaled"
    REFUSED = "refused"
    UNACKNOWLEDGED = "unacknowledged"
    FAILED = "failed"


class Gauge(StrEnum):
    """What is asked for when somebody looks."""

    JOURNAL_ENTRIES = "ingress_journal_entries"
    JOURNAL_BYTES = "ingress_journal_bytes"
    JOURNAL_AGE = "ingress_journal_oldest_age_seconds"
    JOURNAL_TROUBLE = "ingress_journal_trouble"
    BROKER_AWAY = "ingress_broker_away"
    IN_FLIGHT = "ingress_records_in_flight"


_HELP = {
    # Rising: the broker is slow or away. Falling: it is back.
    Gauge.JOURNAL_ENTRIES: "Entries in the local journal that the broker is to have.",
    # Alert well below the setting INGRESS_JOURNAL_MAX_MB.
    Gauge.JOURNAL_BYTES: "Bytes of the local journal.",
    # Above some minutes with the broker back: something keeps an entry from being written.
    Gauge.JOURNAL_AGE: "Age of the oldest entry in the journal.",
    # 1: webhooks are answered 503 as soon as the broker is away too.
    Gauge.JOURNAL_TROUBLE: "Whether the journal cannot take entries (full, or its disk is broken).",
    Gauge.BROKER_AWAY: "Whether webhooks go to the journal because the broker did not acknowledge.",
    Gauge.IN_FLIGHT: "Records handed to the producer and not acknowledged yet.",
}


class Total(StrEnum):
    """What others count and is asked for when somebody looks."""

    ACCOUNTS_REFUSED = "ingress_accounts_refused"
    JOURNAL_DAMAGED = "ingress_journal_damaged"


_TOTAL_HELP = {
    # Rising: somebody replaced the accounts file with one that cannot be used; the accounts before it stay.
    Total.ACCOUNTS_REFUSED: "Accounts files that were not taken.",
    # Rising: the disk loses what was fsynced; the segment is put aside.
    Total.JOURNAL_DAMAGED: "Stretches of the journal that turned out unreadable.",
}


class Metrics:
    """The table."""

    __slots__ = (
        "_acks",
        "_faults",
        "_gauges",
        "_oddities",
        "_refusals",
        "_registry",
        "_replies",
        "_requests",
        "_seconds",
        "_totals",
    )

    def __init__(self) -> None:
        self._requests = {(w, r): 0 for w in Webhook for r in Result}
        self._refusals = dict.fromkeys(Reason, 0)
        self._faults = dict.fromkeys(Fault, 0)
        self._oddities = dict.fromkeys(Oddity, 0)
        self._replies = dict.fromkeys(Reply, 0)
        self._acks = {w: [0] * (len(ACK_BUCKETS_S) + 1) for w in Webhook}
        self._seconds = dict.fromkeys(Webhook, 0.0)
        self._gauges: dict[Gauge, Callable[[], float]] = {}
        self._totals: dict[Total, Callable[[], int]] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)  # it only has to have `collect`

    def watch(self, gauge: Gauge, value: Callable[[], float]) -> None:
        """Show what this returns from now on. Called by `collect`; it must be cheap."""
        self._gauges[gauge] = value

    def watch_total(self, total: Total, value: Callable[[], int]) -> None:
        """The same for what only grows."""
        self._totals[total] = value

    def answered(self, webhook: Webhook, result: Result) -> None:
        self._requests[webhook, result] += 1

    def refused(self, webhook: Webhook, reason: Reason) -> None:
        self._requests[webhook, Result.REFUSED] += 1
        self._refusals[reason] += 1

    def ended(self, fault: Fault) -> None:
        """A connection was ended before its request reached a route."""
        self._faults[fault] += 1

    def acknowledged(self, webhook: Webhook, seconds: float) -> None:
        """The broker had all records `seconds` after they were handed over."""
        self._requests[webhook, Result.ACKNOWLEDGED] += 1
        self._acks[webhook][bisect_left(ACK_BUCKETS_S, seconds)] += 1
        self._seconds[webhook] += seconds

    def odd(self, oddities: tuple[Oddity, ...]) -> None:
        for oddity in oddities:
            self._oddities[oddity] += 1

    def replied(self, reply: Reply) -> None:
        self._replies[reply] += 1

    def exposition(self) -> bytes:
        """All values in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        # `unacknowledged` rising: neither broker nor journal takes records, Twilio is retrying. `journaled`:
        # the broker is away. `failed`: a defect of the ingress.
        requests = CounterMetricFamily(
            "ingress_requests", "Webhooks by route and result.", labels=["route", "result"]
        )
        for (webhook, result), count in self._requests.items():
            requests.add_metric([webhook.value, result.value], count)
        yield requests
        # `bad-signature` rising: someone forges, or PUBLIC_BASE_URL or a token is wrong.
        yield _counter("ingress_refusals", "Refused webhooks by reason.", "reason", self._refusals)
        # Rising: somebody scans or attacks the port, or a proxy in front is set up wrongly.
        yield _counter("ingress_connections_ended", "Connections ended by fault.", "fault", self._faults)
        # Rising: the platform has news; what nobody knew was kept.
        yield _counter("ingress_oddities", "Kept although unknown, by kind.", "kind", self._oddities)
        yield _counter(
            "ingress_replies", "Inbound messages by how they were answered.", "reply", self._replies
        )
        # From handing the records to the producer to the broker's acknowledgement, acknowledged ones only.
        acks = HistogramMetricFamily(
            "ingress_acknowledgement_seconds", "Time until the broker acknowledged.", labels=["route"]
        )
        for webhook in Webhook:
            acks.add_metric([webhook.value], _cumulative(self._acks[webhook]), self._seconds[webhook])
        yield acks
        for gauge, value in self._gauges.items():
            yield GaugeMetricFamily(gauge.value, _HELP[gauge], value=value())
        for total, counted in self._totals.items():
            yield CounterMetricFamily(total.value, _TOTAL_HELP[total], value=counted())


def _counter(
    name: str,
    documentation: str,
    label: str,
    counts: "dict[Reason, int] | dict[Fault, int] | dict[Oddity, int] | dict[Reply, int]",
) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for of, count in counts.items():
        family.add_metric([of.value], count)
    return family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, ACK_BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
