"""Where to start reading a topic: what `tail --from` accepts, and the offsets it means on a broker.

Guarantees: `parse` is pure and names what it did not understand; `resolve` gives every partition one offset
and asks nothing twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition

TIMEOUT_S = 10.0
_AGO = re.compile(r"-(\d+)([smhd])")
_OFFSET = re.compile(r"offset[ :=](\d+)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Edge:
    """The oldest record kept (`beginning`) or the next one to come (`end`)."""

    beginning: bool


@dataclass(frozen=True, slots=True)
class Since:
    """Records from this broker time on, milliseconds since the epoch."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Offset:
    """The same offset on every partition."""

    number: int


Position: TypeAlias = Edge | Since | Offset


class BadPosition(Exception):
    """Not a position; the message lists the forms."""


def parse(text: str, now_ms: int) -> Position:
    """`beginning`, `end`, `-10m` (s, m, h, d ago), `offset 12`, or an ISO 8601 time. Raises BadPosition.

    A time without an offset is local, as the reader's clock shows it.
    """
    if text in ("beginning", "end"):
        return Edge(beginning=text == "beginning")
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return Since(now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000)
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        return Offset(int(offset[1]))
    try:
        return Since(int(datetime.fromisoformat(text).timestamp() * 1000))
    except ValueError:
        raise BadPosition(
            f"{text!r} is no place in a topic; use beginning, end, -10m (or s, h, d), 'offset 12', "
            "or a time such as 2026-11-21T09:30:00Z"
        ) from None


def resolve(
    consumer: Consumer, topic: str, partitions: Sequence[int], position: Position
) -> list[TopicPartition]:
    """The partitions with the offsets to start at. Raises KafkaException when the broker does not say."""
    match position:
        case Edge(beginning=True):
            return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions]
        case Edge():
            return [TopicPartition(topic, number, OFFSET_END) for number in partitions]
        case Offset(number=wanted):
            return [TopicPartition(topic, number, wanted) for number in partitions]
        case Since(at_ms=at_ms):
            asked = [TopicPartition(topic, number, at_ms) for number in partitions]
            found = consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
            return list(found)
