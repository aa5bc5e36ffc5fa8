"""Names and settings of every topic, read once from `topics.yaml`."""

from enum import StrEnum
from importlib import resources

import msgspec

from schemas.vocabulary import Priority


class Topic(StrEnum):
    """Every topic by name; a test holds this list and `topics.yaml` together."""

    NOTIFY_REQUESTED = "notify.requested"
    REQUESTS = "notification.requests"
    OUTCOMES = "notification.outcomes"
    TIMERS = "notification.timers"
    STATUS = "twilio.status"
    INBOUND = "twilio.inbound"
    KEYWORDS = "inbound.keywords"
    CALLS = "twilio.calls"
    EVENTS = "twilio.events"
    CHECKS = "admission.checks"
    VERDICTS = "admission.verdicts"
    CONSENT_EVIDENCE = "consent.evidence"
    DELIVERY_EVIDENCE = "delivery.evidence"
    CONSENT_CHANGES = "consent.changes"
    COMMANDS_URGENT = "outbound.commands.urgent"
    COMMANDS_NORMAL = "outbound.commands.normal"
    COMMANDS_BULK = "outbound.commands.bulk"
    JOURNAL = "outbound.journal"
    CONTROLS = "outbound.controls"
    SENDERS = "outbound.senders"
    ATTEMPTS = "outbound.attempts"
    ROUTE_HEALTH = "route.health"
    DEAD_LETTERS = "dead.letters"
    NOTIFICATIONS_CHANGELOG = "notifystream-streams-notifications-changelog"
    RECIPIENTS_CHANGELOG = "notifystream-streams-recipients-changelog"

    @staticmethod
    def commands(lane: Priority) -> "Topic":
        return _LANES[lane]


_LANES = {
    Priority.URGENT: Topic.COMMANDS_URGENT,
    Priority.NORMAL: Topic.COMMANDS_NORMAL,
    Priority.BULK: Topic.COMMANDS_BULK,
}
"""Command topics by lane, the most urgent first."""


class TopicSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One topic as `topics.yaml` describes it. `retention` is days, `7d`; none means kept for ever.

    `record` is the Avro record it carries; none for a changelog, which only its owner can read.
    """

    record: str | None
    key: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    compact: bool = False
    retention: str | None = None

    def broker_config(self, min_insync_replicas: int) -> dict[str, str]:
        """The topic's settings under Kafka's own names."""
        config = {"min.insync.replicas": str(min_insync_replicas), "compression.type": "producer"}
        if self.compact:
            config["cleanup.policy"] = "compact,delete" if self.retention else "compact"
        else:
            config["cleanup.policy"] = "delete"
        days = int(self.retention.removesuffix("d")) if self.retention else None
        config["retention.ms"] = str(days * 86_400_000) if days else "-1"
        return config


class TopicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    partitions: int
    replication_factor: int
    min_insync_replicas: int
    topics: dict[Topic, TopicSpec]


def load_topics() -> TopicFile:
    """What `topics.yaml` says.

    Raises msgspec.ValidationError, naming the place, when the file does not have the form above.
    """
    return msgspec.yaml.decode(
        resources.files("schemas").joinpath("topics.yaml").read_bytes(), type=TopicFile
    )
