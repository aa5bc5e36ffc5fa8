"""What the process that watches the routes needs to know; resolved once at start."""

from dataclasses import dataclass, field

from schemas.clients import Kafka
from sinks.health.decide import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """Raises ValueError when a value cannot work, so that a process with one never starts."""

    kafka: Kafka
    schema_registry_url: str
    clickhouse_url: str = field(repr=False)
    policy: Policy = field(default_factory=Policy)
    every_ms: int = 60_000
    """From one look to the next; looks are at whole multiples of it, whoever makes them."""
    group: str = "notifystream-health"

    def __post_init__(self) -> None:
        if self.every_ms < 1:
            raise ValueError(f"a look every {self.every_ms} ms cannot work: it must be positive")
