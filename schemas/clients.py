"""Kafka client settings that everybody who touches these topics must share.

What would differ by accident here breaks promises elsewhere: another partitioner puts a key on another
partition than Faust and Java do, another isolation level reads what was never committed.
"""

from typing import TypeAlias

import msgspec

Config: TypeAlias = dict[str, str | int | float | bool]


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is and how to reach it."""

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_ca_location: str | None = None

    def __repr__(self) -> str:
        """Without user and password: a configuration may end up in a log."""
        return f"Kafka({self.bootstrap_servers}, {self.security_protocol})"

    def client(self, client_id: str) -> Config:
        config: Config = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": client_id,
            "security.protocol": self.security_protocol,
            # A broker that comes back is used at once, not after librdkafka's 10 s.
            "reconnect.backoff.max.ms": 1000,
            # librdkafka reports lost connections it mends by itself as errors on stderr.
            "log_level": 3,
        }
        optional = {
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.location": self.ssl_ca_location,
        }
        return config | {name: value for name, value in optional.items() if value is not None}

    def producer(self, client_id: str, *, linger_ms: float = 5, delivery_timeout_ms: int = 30_000) -> Config:
        """A producer whose delivery report means: all in-sync replicas have it, once and in order."""
        return self.client(client_id) | {
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # librdkafka's own default does not co-partition with Java's
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "delivery.timeout.ms": delivery_timeout_ms,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 262_144,
        }

    def consumer(self, client_id: str, group: str) -> Config:
        """A consumer that sees committed records only, from the start, and commits by hand."""
        return self.client(client_id) | {
            "group.id": group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "partition.assignment.strategy": "range",
            # After a kill -9 the group waits this long for the dead member before it goes on.
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 2_000,
            "fetch.wait.max.ms": 100,
        }
