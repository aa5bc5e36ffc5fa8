"""Whether the clients of broker and registry take their settings, found out before anything is started.

Guarantees: nobody is asked and nothing is written; what the libraries would refuse deep inside the start, one
ConfigError says here, without a password.
Leaves to others: whether broker and registry are there: the ingress starts without them.
"""

from confluent_kafka import KafkaException, Producer

from ingress.config import IngressConfig
from ingress.errors import ConfigError
from schemas.codec import Codec


def check_clients(config: IngressConfig) -> None:
    """Raises ConfigError."""
    try:
        # It ends with this line, before it has said anything about a broker that is away.
        Producer({**config.kafka.producer("notifystream-ingress"), "log_level": 0})
    except KafkaException as refused:
        raise ConfigError(
            f"The Kafka client refuses its settings ({refused.args[0].str()}); correct the KAFKA_ setting of "
            "that name."
        ) from refused
    try:
        Codec(config.schema_registry_url).close()
    except ValueError as refused:
        raise ConfigError(
            "SCHEMA_REGISTRY_URL is no URL; set it with its scheme, e.g. http://registry:8081."
        ) from refused
