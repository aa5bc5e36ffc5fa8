"""Every metric of the ingress, in one table, and how it is shown to Prometheus.

Guarantees: a registry of its own per instance, so that two applications in one process count apart.
Labels are closed lists: nothing from outside becomes a label.
"""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ingress.refusals import Reason

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# From what one broker on the same machine takes to what Twilio waits at most.
ACK_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


class Webhook(StrEnum):
    STATUS = "status"
    INBOUND = "inbound"


class Result(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNACKNOWLEDGED = "unacknowledged"
    FAILED = "failed"


class Metrics:
    """The table. Counting is safe from every thread."""

    __slots__ = ("_acknowledgement", "_refusals", "_registry", "_requests")

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # Webhooks answered. `unacknowledged` rising: the broker or the registry is away, Twilio is retrying.
        # `failed`: a defect of the ingress.
        requests = Counter(
            "ingress_requests",
            "Webhooks by route and result.",
            ["route", "result"],
            registry=self._registry,
        )
        # Requests refused. `bad-signature` rising: someone forges, or PUBLIC_BASE_URL or a token is wrong.
        refusals = Counter(
            "ingress_refusals",
            "Refused webhooks by reason.",
            ["reason"],
            registry=self._registry,
        )
        # From handing a record to the producer to the broker's acknowledgement, acknowledged ones only.
        acknowledgement = Histogram(
            "ingress_acknowledgement_seconds",
            "Time until the broker acknowledged a record.",
            ["route"],
            buckets=ACK_BUCKETS_S,
            registry=self._registry,
        )
        # Children are made here once: looking them up costs more than counting.
        self._requests = {(w, r): requests.labels(w.value, r.value) for w in Webhook for r in Result}
        self._refusals = {reason: refusals.labels(reason.value) for reason in Reason}
        self._acknowledgement = {w: acknowledgement.labels(w.value) for w in Webhook}

    def answered(self, webhook: Webhook, result: Result) -> None:
        self._requests[webhook, result].inc()

    def refused(self, webhook: Webhook, reason: Reason) -> None:
        self.answered(webhook, Result.REFUSED)
        self._refusals[reason].inc()

    def acknowledged(self, webhook: Webhook, seconds: float) -> None:
        self.answered(webhook, Result.ACKNOWLEDGED)
        self._acknowledgement[webhook].observe(seconds)

    def exposition(self) -> bytes:
        """All values in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)
