"""What the stream processors need to know, resolved once at start."""

import msgspec

from schemas.clients import Kafka
from streams.delivery import DeliveryPolicy
from streams.intake import IntakePolicy

APP_ID = "notifystream-streams"
"""Also the consumer group, and the prefix of the changelog topics."""


class StreamsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`instance` names this process among its kind and must stay the same across its restarts: what its
    predecessor left open is then closed at once instead of after a time-out. `datadir` is this process's
    alone. `store_cache_mb` bounds what is kept in memory of the disk, `hot_rows` half of each table's
    decoded rows. Without `health_port` there is no /healthz."""

    kafka: Kafka
    schema_registry_url: str
    delivery: DeliveryPolicy
    intake: IntakePolicy
    datadir: str
    instance: str = "0"
    session_timeout_s: float = 10.0
    store_cache_mb: int = 64
    hot_rows: int = 20_000
    health_host: str = "127.0.0.1"
    health_port: int | None = None
