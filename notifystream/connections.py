"""From settings to the clients that several commands use: the broker's address and the codec."""

from confluent_kafka.admin import AdminClient

from notifystream.console import require
from notifystream.settings import Settings
from schemas.clients import Kafka
from schemas.codec import Codec


def kafka(chosen: Settings) -> Kafka:
    """Where the broker is. Ends the command with exit code 2 when no setting says so."""
    (bootstrap,) = require(chosen, "kafka_bootstrap_servers")
    password = chosen.kafka_sasl_password
    return Kafka(
        bootstrap_servers=bootstrap,
        security_protocol=chosen.kafka_security_protocol,
        sasl_mechanism=chosen.kafka_sasl_mechanism,
        sasl_username=chosen.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password is not None else None,
        ssl_ca_location=chosen.kafka_ssl_ca_location,
    )


def codec(chosen: Settings) -> Codec:
    """The records' codec. Ends the command with exit code 2 when no setting names the registry."""
    (url,) = require(chosen, "schema_registry_url")
    return Codec(url)


def embedded(cluster_id: str | None) -> bool:
    """Whether this cluster is librdkafka's mock, which names itself so (rdkafka_mock.c)."""
    return (cluster_id or "").startswith("mockCluster")


def admin(broker: Kafka) -> AdminClient:
    return AdminClient(broker.client("notifystream-console"))
