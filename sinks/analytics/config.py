"""What one analytics sink needs to know; resolved once at start, never read from the environment here."""

from dataclasses import dataclass, field

from schemas.clients import Kafka
from sinks.analytics.cluster import ONE_SERVER, Layout

MINIMUM_KEY_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsConfig:
    """Raises ValueError when a value cannot work, so that a process with one never starts."""

    kafka: Kafka
    schema_registry_url: str
    clickhouse_url: str = field(repr=False)
    """`http://user:password@host:port/database`; with https the port defaults to 8443."""
    pii_hash_key: bytes = field(repr=False)
    """Key of the hash that stands for a phone number. Another key makes another hash of the same person."""
    batch_rows: int = 50_000
    """Kafka records per batch at most."""
    batch_bytes: int = 64 * 1024 * 1024
    """Bytes of their keys and values, exceeded by one fetch at most: what is held with ClickHouse away."""
    batch_s: float = 1.0
    """Seconds from the first record of a batch to its insert at the latest."""
    group: str = "notifystream-analytics"
    layout: Layout = ONE_SERVER
    """The cluster of the tables, and how long they keep their rows."""

    def __post_init__(self) -> None:
        if len(self.pii_hash_key) < MINIMUM_KEY_BYTES:
            raise ValueError(
                f"pii_hash_key has {len(self.pii_hash_key)} bytes: phone numbers are few enough to try them "
                f"all against a short key. Use 32 random bytes, e.g. from `openssl rand -hex 32`."
            )
        if self.batch_rows < 1 or self.batch_bytes < 1 or self.batch_s <= 0:
            raise ValueError(
                f"batches of {self.batch_rows} records, {self.batch_bytes} bytes or {self.batch_s} s cannot "
                "work: all must be positive"
            )
