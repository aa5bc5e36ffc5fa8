"""The embedded Kafka: librdkafka's mock brokers as a server, `python -m sandbox.broker`.

Guarantees: prints `READY host:port[,host:port]` when clients may connect; every `--topic` exists by then,
with its four partitions, so that a consumer that subscribes first finds it.
Leaves to a real broker, because the mock cannot do it (each measured with librdkafka 2.16): durability (all
is in memory); compaction; CreateTopics (a topic appears on first use, always with four partitions); a
partition of more than 5 MB or 100,000 batches (fixed in librdkafka; the oldest batches go first); offsets
sent in a transaction (accepted, not stored); `isolation.level=read_committed` (aborted and open transactions
are read like committed ones); fencing of an older producer with the same transactional id. So never show a
promise about crashes or transactions here: those tests run on Apache Kafka.
"""

import argparse
import re
import sys
from collections.abc import Sequence

from confluent_kafka import KafkaException, Producer

from sandbox.serving import add_server_options, announce, end_with_stdin, ending

# The mock answers in its own process: a longer wait would only hide that it does not.
METADATA_SECONDS = 10.0
# Kafka's rule for topic names (org.apache.kafka.common.internals.Topic), which the mock does not apply.
TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")


class BrokerError(Exception):
    """The embedded broker could not do what was asked; the message says what and how to go on."""


class EmbeddedBroker:
    """Mock brokers on 127.0.0.1, alive from the constructor until `close`.

    Raises BrokerError when the brokers do not answer within 10 s.
    """

    __slots__ = ("_producer", "bootstrap")

    def __init__(self, brokers: int = 1) -> None:
        # librdkafka keeps the mock cluster for as long as the client that asked for it (its INTRODUCTION.md,
        # "Mock cluster"); the bootstrap servers given here are ignored.
        self._producer: Producer | None = Producer(
            {"bootstrap.servers": "127.0.0.1:0", "test.mock.num.brokers": brokers, "log_level": 4}
        )
        try:
            metadata = self._producer.list_topics(timeout=METADATA_SECONDS)
        except KafkaException as error:
            raise BrokerError(
                f"the embedded broker did not answer within {METADATA_SECONDS:.0f} s: {error}"
            ) from error
        members = sorted(metadata.brokers.values(), key=lambda member: member.id)
        self.bootstrap = ",".join(f"{member.host}:{member.port}" for member in members)

    def create_topic(self, name: str) -> int:
        """Make the topic exist, by asking for its metadata; returns its number of partitions (always 4).

        Raises BrokerError for a name Kafka does not allow, and when the brokers do not answer.
        """
        if TOPIC_NAME.fullmatch(name) is None:
            raise BrokerError(
                f"topic {name!r} cannot be created: a name is 1 to 249 characters of a-z, A-Z, 0-9, . _ and -"
            )
        if self._producer is None:
            raise BrokerError(f"topic {name!r} cannot be created: the embedded broker is closed")
        try:
            topic = self._producer.list_topics(name, timeout=METADATA_SECONDS).topics[name]
        except KafkaException as error:
            raise BrokerError(f"topic {name!r} could not be created: {error}") from error
        if topic.error is not None:
            raise BrokerError(f"topic {name!r} could not be created: {topic.error}")
        return len(topic.partitions)

    def close(self) -> None:
        """End the brokers; their clients lose the connection, and every record is gone."""
        self._producer = None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.broker",
        description="An in-memory Kafka for the sandbox: librdkafka's mock brokers. Prints READY host:port.",
    )
    add_server_options(parser)
    parser.add_argument("--brokers", type=int, default=1, help="how many brokers (default: %(default)s)")
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="NAME",
        help="create this topic, with its four partitions, before READY; may be repeated",
    )
    options = parser.parse_args(arguments)
    if options.host not in ("127.0.0.1", "localhost") or options.port != 0:
        parser.error("librdkafka's mock brokers choose their own ports on 127.0.0.1: leave --host and --port")
    if not 1 <= options.brokers <= 10:
        parser.error(f"--brokers {options.brokers}: must be between 1 and 10")
    end = ending()
    if options.exit_with_stdin:
        end_with_stdin()
    broker = EmbeddedBroker(options.brokers)
    try:
        for topic in options.topic:
            broker.create_topic(topic)
        announce(broker.bootstrap)
        end.wait()
    except BrokerError as error:
        print(f"sandbox.broker: {error}", file=sys.stderr)
        return 1
    finally:
        broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
