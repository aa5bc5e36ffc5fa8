"""All that the ingress writes, read while it writes it.

Guarantees: no record is missed: offsets are followed without a gap, and one that the broker forgot before it
was read is an error (the embedded broker keeps 5 MB of a partition).
Leaves to others: what the records have to say.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass

import msgspec
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, Message, TopicPartition

from ingress.accepted import RECORDS
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.topics import Topic

TIMEOUT_S = 20.0
_MOST_AT_ONCE = 500


class Missed(Exception):
    """The topics were not read in full, so nothing can be said about the run."""


@dataclass(frozen=True, slots=True)
class Written:
    """One record: decoded, and its bytes, in which its request's marker stands."""

    topic: Topic
    record: msgspec.Struct
    value: bytes


class Follower:
    """Reads in a thread of its own from `start`, which takes what comes after it; `take` what came so far."""

    __slots__ = ("_asking", "_codec", "_consumer", "_found", "_next", "_stop", "_thread", "_trouble")

    def __init__(self, bootstrap: str, registry: str) -> None:
        self._codec = Codec(registry)
        config = Kafka(bootstrap_servers=bootstrap).consumer("fuzz", uuid.uuid4().hex)
        self._consumer = Consumer(
            {
                **config,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 20,
                "fetch.message.max.bytes": 2**22,
            }
        )
        # Behind the other one's fetches each question would wait for its turn.
        self._asking = Consumer(config)
        self._found: deque[Written] = deque()
        self._next: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, name="follow-topics", daemon=True)

    def start(self) -> None:
        """Raises Missed when a topic is not there."""
        for topic in RECORDS:
            known = self._asking.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if known.error is not None:
                raise Missed(f"topic {topic} cannot be read: {known.error}; create it before the run")
            self._next |= {(topic, number): 0 for number in known.partitions}
        self._next = self._ends()
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
        self._thread.start()

    def take(self) -> list[Written]:
        """What was read since the last call. Raises Missed when reading failed."""
        if self._trouble is not None:
            raise Missed("the topics could not be followed") from self._trouble
        return [self._found.popleft() for _ in range(len(self._found))]

    def rest(self) -> list[Written]:
        """Everything up to the topics' ends as they are now; nothing may be written any more."""
        ends = self._ends()
        deadline = time.monotonic() + TIMEOUT_S
        taken = self.take()
        while any(self._next[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise Missed(f"the ends of the topics were not reached within {TIMEOUT_S:g} s")
            self._stop.wait(0.01)
            taken += self.take()
        return taken + self.take()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)
        self._consumer.close()
        self._asking.close()
        self._codec.close()

    def _ends(self) -> dict[tuple[str, int], int]:
        return {(topic, number): self._end(topic, number) for topic, number in self._next}

    def _end(self, topic: str, number: int) -> int:
        found = self._asking.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
        if found is None or found[1] == OFFSET_INVALID:
            raise Missed(f"the end of {topic} [{number}] is not known; is the broker away?")
        return int(found[1])

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                for message in self._consumer.consume(_MOST_AT_ONCE, 0.1):
                    self._read(message)
        except Exception as trouble:  # shown by the next `take`
            self._trouble = trouble

    def _read(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise Missed(f"{message.topic()} {message.partition()}: {error}")
            return
        name, partition, value = message.topic(), message.partition(), message.value()
        assert name is not None
        assert partition is not None
        assert value is not None
        topic, place = Topic(name), (name, partition)
        if message.offset() != self._next[place]:
            raise Missed(f"{place} goes on at {message.offset()} instead of {self._next[place]}")
        self._found.append(Written(topic, self._codec.decode(value, RECORDS[topic]), value))
        self._next[place] += 1
