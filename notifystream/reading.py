"""Records of one topic as they come, for people: decoded when they can be, shown as they are when not.

Guarantees: reads from every partition without a consumer group, so that nobody else's offsets move; committed
records only; an undecodable record is one `Undecodable` and never the end. Leaves to the caller: the masking.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from notifystream.connections import embedded
from notifystream.positions import TIMEOUT_S, Edge, Position, Since, resolve
from schemas import records
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.topics import Topic, load_topics

_POLL_S = 0.2
# Without news for so long, the broker is away: then the end will not come.
_SILENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why these bytes are not the record the topic carries; `size` is None for no value (a deletion)."""

    reason: str
    size: int | None


Content: TypeAlias = records.Record | Undecodable


@dataclass(frozen=True, slots=True)
class Seen:
    """One record: where it is, when the broker got it (milliseconds since the epoch) and what it holds."""

    partition: int
    offset: int
    at_ms: int
    key: str
    content: Content


class NoSuchTopic(Exception):
    """The broker does not have the topic; the message names what to do."""


class BrokerSilent(Exception):
    """The broker stopped answering while a topic was read to its end."""


def record_type(topic: Topic) -> type[records.Record] | None:
    """The class of the topic's records; None when only its owner can read them."""
    name = load_topics().topics[topic].record
    found = getattr(records, name, None) if name is not None else None
    return found if isinstance(found, type) and issubclass(found, records.Record) else None


def read(
    kafka: Kafka, codec: Codec, topic: Topic, start: Position, *, follow: bool = True
) -> Iterator[Seen | None]:
    """Every record from `start` on, forever or (`follow` false) to what is the end by now.

    Yields None whenever nothing came for a fifth of a second. Raises NoSuchTopic, KafkaException when the
    broker cannot be asked, BrokerSilent when it does not tell the end, RegistryUnavailable when the writer's
    schema cannot be asked for.
    """
    consumer = Consumer(
        kafka.consumer("notifystream-tail", f"notifystream-tail-{time.time_ns()}")
        | {"enable.partition.eof": not follow}
    )
    try:
        metadata = consumer.list_topics(topic, timeout=TIMEOUT_S)
        found = metadata.topics[topic]
        if found.error is not None:
            raise NoSuchTopic(f"the broker has no topic {topic}; create it: notifystream topics apply")
        partitions = sorted(found.partitions)
        # The embedded broker cannot look up times: there everything is read, and the earlier left out.
        look_up = not (isinstance(start, Since) and embedded(metadata.cluster_id))
        first = start if look_up else Edge(beginning=True)
        consumer.assign(resolve(consumer, topic, partitions, first))
        carries = record_type(topic)
        left = set(partitions)
        heard = time.monotonic()
        while follow or left:
            message = consumer.poll(_POLL_S)
            if message is None:
                if not follow and time.monotonic() - heard > _SILENCE_S:
                    raise BrokerSilent(f"the broker did not tell the end of {topic} in {_SILENCE_S:g} s")
                yield None
                continue
            heard = time.monotonic()
            error = message.error()
            if error is None:
                seen = _seen(message, codec, carries)
                if not isinstance(start, Since) or seen.at_ms >= start.at_ms:
                    yield seen
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def _seen(message: Message, codec: Codec, carries: type[records.Record] | None) -> Seen:
    key, value = message.key(), message.value()
    return Seen(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        at_ms=message.timestamp()[1],
        key=_text(key),
        content=_content(value if isinstance(value, bytes) else None, codec, carries),
    )


def _content(value: bytes | None, codec: Codec, carries: type[records.Record] | None) -> Content:
    if value is None:
        return Undecodable("no value: the key was deleted", None)
    if carries is None:
        return Undecodable("the internal state of a processor", len(value))
    try:
        return codec.decode(value, carries)
    except WireError as wrong:
        return Undecodable(f"{wrong.reason}: {wrong}", len(value))


def _text(key: str | bytes | None) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else key or ""


def plain(record: records.Record) -> dict[str, object]:
    """A record as JSON-like values; bytes become `N bytes`, because they may hold numbers no mask finds."""
    built = msgspec.to_builtins(record, builtin_types=(bytes,))
    return {n: f"{len(v)} bytes" if isinstance(v, bytes) else v for n, v in built.items()}
