"""What people decide about sending: made into records, and written where the owner of the sender reads them.

Guarantees: a decision is with every in-sync replica on all the partitions it concerns, or on none: one Kafka
transaction. The same decision has the same id, however often it is written. Leaves to `sinks.outbound` what a
decision does, and whether it comes in time.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import KafkaError, KafkaException, Producer

from notifystream.positions import TIMEOUT_S
from notifystream.reading import NoSuchTopic
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.identity import event_id
from schemas.records import OutboundControl
from schemas.topics import Topic
from schemas.vocabulary import ControlAction, ControlScope, Priority
from sinks.outbound.controls import key_of

_TRANSACTIONAL_ID = "notifystream-decisions"
_TIMEOUT_S = 15.0
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class NotDecided(Exception):
    """The decision was not written; the message says why, and what to do."""


class Who(NamedTuple):
    """Who decides, why, and when (ms since the epoch)."""

    by: str
    reason: str
    at: int


class Held(NamedTuple):
    """A held command, and the partition of its sender."""

    command_id: str
    partition: int


def pause(scope: ControlScope, target: str, who: Who, until: int | None = None) -> OutboundControl:
    return _control(ControlAction.PAUSE, scope, target, who, until)


def resume(scope: ControlScope, target: str, who: Who) -> OutboundControl:
    return _control(ControlAction.RESUME, scope, target, who)


def release(command_id: str, who: Who) -> OutboundControl:
    """The command is to be taken for not sent: by somebody who knows, or who takes the risk."""
    return _control(ControlAction.RELEASE, ControlScope.COMMAND, command_id, who)


def drop(command_id: str, who: Who) -> OutboundControl:
    """What became of the command is to stay unknown."""
    return _control(ControlAction.DROP, ControlScope.COMMAND, command_id, who)


def write_pauses(kafka: Kafka, codec: Codec, control: OutboundControl) -> None:
    """Write a pause, or the end of one. Raises NotDecided, NoSuchTopic, KafkaException."""
    with _producer(kafka) as producer:
        partitions = _partitions(producer)
        concerned = partitions
        if control.scope is ControlScope.SENDER:
            concerned = [int(DefaultPartitioner()(control.target.encode(), partitions, partitions))]
        _write(producer, codec, [(each, control) for each in concerned])


def write_decisions(kafka: Kafka, codec: Codec, decided: list[tuple[Held, OutboundControl]]) -> None:
    """Write what was decided about held commands. Raises NotDecided, NoSuchTopic, KafkaException."""
    with _producer(kafka) as producer:
        _partitions(producer)
        _write(producer, codec, [(held.partition, control) for held, control in decided])


def _control(
    action: ControlAction, scope: ControlScope, target: str, who: Who, until: int | None = None
) -> OutboundControl:
    # A command is decided about once; a sender may be paused for the same reason every week.
    when = "" if scope is ControlScope.COMMAND else str(who.at)
    return OutboundControl(
        control_id=event_id("control", action, scope, target, when),
        action=action,
        scope=scope,
        target=target,
        by=who.by,
        reason=who.reason,
        at=who.at,
        until=until,
    )


@contextlib.contextmanager
def _producer(kafka: Kafka) -> Iterator[Producer]:
    producer = Producer(
        kafka.producer(_TRANSACTIONAL_ID, linger_ms=0, delivery_timeout_ms=9_000)
        | {"transactional.id": _TRANSACTIONAL_ID, "transaction.timeout.ms": 10_000, "retry.backoff.ms": 1}
    )
    failed = True
    try:
        yield producer
        failed = False
    finally:
        # Where the broker has stopped this producer, confluent-kafka 2.16 closes and then raises SystemError.
        with contextlib.suppress(SystemError) if failed else contextlib.nullcontext():
            producer.close()


def _partitions(producer: Producer) -> list[int]:
    """Those of the decisions. Their number must be that of the commands: else they reach another process."""
    counts: dict[Topic, list[int]] = {}
    for topic in (Topic.CONTROLS, Topic.commands(Priority.NORMAL), Topic.JOURNAL):
        found = producer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise NoSuchTopic(f"the broker has no topic {topic}; create it: notifystream topics apply")
        counts[topic] = sorted(found.partitions)
    if len({len(each) for each in counts.values()}) > 1:
        told = ", ".join(f"{topic} {len(each)}" for topic, each in counts.items())
        raise NotDecided(
            f"these topics must have equal partition counts and have not: {told}; a decision could reach "
            "a process that does not own the sender"
        )
    return counts[Topic.CONTROLS]


def _write(producer: Producer, codec: Codec, placed: list[tuple[int, OutboundControl]]) -> None:
    values = [
        (partition, key_of(each).encode(), codec.encode(Topic.CONTROLS, each)) for partition, each in placed
    ]
    try:
        producer.init_transactions(_TIMEOUT_S)
        producer.begin_transaction()
        for partition, key, value in values:
            producer.produce(Topic.CONTROLS, value, key, partition=partition)
        producer.commit_transaction(_TIMEOUT_S)
    except KafkaException as refused:
        error = refused.args[0]
        if isinstance(error, KafkaError) and error.code() in _FENCED:
            raise NotDecided("another decision was written at the same moment; repeat this one") from refused
        why = error.str() if isinstance(error, KafkaError) else error
        raise NotDecided(f"the broker did not take the decision, nothing has changed: {why}") from refused
