"""What one carriers process needs to know; resolved once at start, never read from the environment here."""

from dataclasses import dataclass, field

from schemas.clients import Kafka
from sinks.analytics.config import MINIMUM_KEY_BYTES
from sinks.outbound.config import TwilioAccount

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupConfig:
    """How much may be asked of the provider. `lookups_per_month` counts calendar months in UTC.

    `account.api_url` is where the Lookup API answers. Raises ValueError when a value cannot work.
    """

    account: TwilioAccount
    lookups_per_month: int
    lookups_per_s: float = 5.0
    ask_again_after_ms: int = 90 * DAY_MS

    def __post_init__(self) -> None:
        if self.lookups_per_month < 1 or self.lookups_per_s <= 0 or self.ask_again_after_ms <= 0:
            raise ValueError(
                f"{self.lookups_per_month} look-ups a month, {self.lookups_per_s} a second, each good for "
                f"{self.ask_again_after_ms} ms cannot work: all must be positive"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriersConfig:
    """Raises ValueError when a value cannot work or there is nothing to do, so that it never starts."""

    kafka: Kafka
    schema_registry_url: str
    clickhouse_url: str = field(repr=False)
    pii_hash_key: bytes = field(repr=False)
    """The analytics sink's own: rows are joined by the hash."""
    pii_hash_key_previous: bytes | None = field(default=None, repr=False)
    """The key before it, while it is being changed: hashes of both are linked."""
    lookups: LookupConfig | None = None
    number_tenants: frozenset[str] = frozenset()
    """Tenants that opted in to keeping numbers in ClickHouse."""
    group: str = "notifystream-carriers"

    def __post_init__(self) -> None:
        for name, key in (
            ("pii_hash_key", self.pii_hash_key),
            ("pii_hash_key_previous", self.pii_hash_key_previous),
        ):
            if key is not None and len(key) < MINIMUM_KEY_BYTES:
                raise ValueError(f"{name} has {len(key)} bytes, fewer than {MINIMUM_KEY_BYTES}")
        if self.pii_hash_key == self.pii_hash_key_previous:
            raise ValueError("pii_hash_key_previous is pii_hash_key: there is nothing to link; leave it out")
        if self.lookups is None and self.pii_hash_key_previous is None and not self.number_tenants:
            raise ValueError(
                "there is nothing to do: set CARRIER_LOOKUPS_PER_MONTH to look carriers up, "
                "PII_HASH_KEY_PREVIOUS to link hashes while the key is changed, or ANALYTICS_NUMBER_TENANTS "
                "to keep numbers of tenants that opted in"
            )
