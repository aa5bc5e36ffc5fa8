"""The stream processors in one thread: commands as `plan` says, and evidence as callbacks bring it.

Guarantees: an opt-out is acknowledged by the broker before the command that it forbids is written; evidence
is written of commands that were told to be in doubt, and of these only. Leaves to the processors' own chaos
run: how they come to write this.
"""

from __future__ import annotations

import heapq
import threading
import time
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import KafkaError, Message, Producer

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import ConsentChange, OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import Priority
from tests.outbound.chaos.book import Book
from tests.outbound.chaos.callbacks import Callbacks
from tests.outbound.chaos.plan import Story, cancellation, settlement, story

_AT_ONCE = 50
# Nobody can read every so manyth value; the partition goes on behind it.
_UNREADABLE_EVERY = 1_000


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


class Due(NamedTuple):
    """Something to be written, and when (ms)."""

    at: int
    number: int
    lane: Priority
    command: OutboundCommand


class Outside:
    """Works from `with` to the end of the block. `allowed` is how many commands may be written so far."""

    def __init__(
        self, kafka: Kafka, codec: Codec, book: Book, callbacks: Callbacks, seed: int, commands: int
    ) -> None:
        self.stories: dict[str, Story] = {}
        self.unreadable: set[Place] = set()
        self.evidence = 0
        self.allowed = 0
        self._codec, self._book, self._callbacks = codec, book, callbacks
        self._seed, self._commands = seed, commands
        self._producer = Producer(kafka.producer("outside", linger_ms=2) | {"log_level": 0})
        self._waiting: list[Due] = []
        self._number = 0
        self._doubts_seen = 0
        self._unproved: dict[str, Story] = {}
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="outside")

    @property
    def done(self) -> bool:
        """Whether nothing is left to be written now. Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        return len(self.stories) == self._commands and not self._waiting and len(self._producer) == 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._producer.close()
        if error is None and self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._end.is_set():
                for _ in range(min(_AT_ONCE, self.allowed - len(self.stories))):
                    self._command(story(self._seed, len(self.stories), _now()))
                self._bear_witness()
                self._write_due()
                self._producer.poll(0.01)
            left = self._producer.flush(30)
            assert left == 0, f"{left} records were never acknowledged"
        except BaseException as failure:
            self._failure = failure

    def _command(self, told: Story) -> None:
        now, command = _now(), told.command
        if told.opt_out is not None:
            topic = Topic.CONSENT_CHANGES if isinstance(told.opt_out, ConsentChange) else Topic.INBOUND
            self._produce(topic, command.recipient, self._codec.encode(topic, told.opt_out))
            left = self._producer.flush(30)
            assert left == 0, f"{left} records were not acknowledged in 30 s"
        sent_at = now
        if told.cancel_after_ms is not None:
            sent_at = now + max(0, -told.cancel_after_ms)
            # On the lane of settlements and cancellations, whatever the command's own.
            self._plan(sent_at + told.cancel_after_ms, Priority.URGENT, cancellation(command, now))
        self._plan(sent_at, told.lane, command)
        for copy in told.copies:
            self._plan(sent_at + copy.after_ms, copy.lane, command)
        if told.number % _UNREADABLE_EVERY == _UNREADABLE_EVERY // 2:
            self._produce(Topic.commands(told.lane), command.sender, b"\x00 nobody's schema", unreadable=True)
        self.stories[command.command_id] = told

    def _bear_witness(self) -> None:
        """Commands in doubt of which a callback was heard, each once."""
        doubted = self._book.doubted
        while self._doubts_seen < len(doubted):
            command_id = doubted[self._doubts_seen]
            self._doubts_seen += 1
            self._unproved[command_id] = self.stories[command_id]
        for command_id in [each for each in self._unproved if each in self._callbacks.sids]:
            told = self._unproved.pop(command_id)
            now = _now()
            proof = settlement(told.command, self._callbacks.sids[command_id], now)
            self._plan(now + told.evidence_after_ms, Priority.URGENT, proof)
            self.evidence += 1

    def _plan(self, at: int, lane: Priority, command: OutboundCommand) -> None:
        self._number += 1
        heapq.heappush(self._waiting, Due(at, self._number, lane, command))

    def _write_due(self) -> None:
        now = _now()
        while self._waiting and self._waiting[0].at <= now:
            _, _, lane, command = self._waiting[0]
            topic = Topic.commands(lane)
            self._produce(topic, command.sender, self._codec.encode(topic, command))
            heapq.heappop(self._waiting)

    def _produce(self, topic: Topic, key: str, value: bytes, *, unreadable: bool = False) -> None:
        def put(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            if unreadable:
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                self.unreadable.add(Place(topic, partition, offset))

        while True:
            try:
                self._producer.produce(topic, value, key.encode(), on_delivery=put)
                return
            except BufferError:
                self._producer.poll(0.1)


def _now() -> int:
    return time.time_ns() // 1_000_000
