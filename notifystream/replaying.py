"""Write dead letters back to where they were read, and remember it.

Each letter and the mark that it was replayed become visible together, in one Kafka transaction. A crash
before the commit leaves neither; after it both. All replays share one transactional id, so that of two at the
same time the older one is stopped by the broker instead of writing everything again.

What comes back is read like any other record: it has its old key, so it lands on the partition of its
fellows, and what it causes has the same ids as the first time.
"""

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer

from notifystream.letters import REPLAYED, LetterId
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import Topic

BATCH = 100
HEADER = "notifystream-replay-of"
_TRANSACTIONAL_ID = "notifystream-deadletters"
_TIMEOUT_S = 30.0
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)

Numbered: TypeAlias = tuple[LetterId, DeadLetter]


class ReplayFailed(Exception):
    """The letters of a batch were not replayed; the message says why. Those before it were."""


class Replayer:
    """Use it as a context manager: leaving it lets go of the broker."""

    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self._codec = codec
        self._failed = False
        self._producer = Producer(
            kafka.producer(_TRANSACTIONAL_ID, delivery_timeout_ms=14_000)
            | {
                "transactional.id": _TRANSACTIONAL_ID,
                "transaction.timeout.ms": 15_000,
                # As shipped (100) every back-to-back transaction takes 100 ms (facts, Kafka; KAFKA-5477).
                "retry.backoff.ms": 1,
                "retry.backoff.max.ms": 100,
            }
        )

    def __enter__(self) -> "Replayer":
        """Stops a replay that is under way elsewhere. Raises ReplayFailed when the broker does not answer."""
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as failed:
            self._producer.close()
            raise _failure(failed) from failed
        return self

    def __exit__(self, *_: object) -> None:
        # `close` aborts once more what is open. Where the broker has stopped this producer that fails, and
        # confluent-kafka 2.16 closes all the same but then raises SystemError over it.
        with contextlib.suppress(SystemError) if self._failed else contextlib.nullcontext():
            self._producer.close()

    def replay(self, batch: Sequence[Numbered], now_ms: int) -> None:
        """Write these letters' records and their marks. Raises ReplayFailed: then none of them is written.

        The caller makes sure that they can be (`letters.obstacle`).
        """
        marks = [
            (letter, self._codec.encode(Topic.DEAD_LETTERS, _mark(i, letter, now_ms))) for i, letter in batch
        ]
        try:
            self._producer.begin_transaction()
            for identity, letter in batch:
                # An absent key was kept as an empty one; absent again it goes to any partition.
                self._write(letter.topic, letter.key or None, letter.value, {HEADER: str(identity).encode()})
            for letter, mark in marks:
                self._write(Topic.DEAD_LETTERS, f"{letter.topic}-{letter.partition}".encode(), mark, {})
            self._producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as failed:
            self._failed = True
            self._abort()
            raise _failure(failed) from failed

    def _write(self, topic: str, key: bytes | None, value: bytes | None, headers: dict[str, bytes]) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=dict(headers))
                return
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: let the broker catch up

    def _abort(self) -> None:
        # Fenced, or the broker is away: then it ends the transaction itself after its time-out. What failed
        # first is what the caller is told.
        with contextlib.suppress(KafkaException):
            self._producer.abort_transaction(_TIMEOUT_S)


def batches(numbered: Iterable[Numbered]) -> Iterable[list[Numbered]]:
    """At most BATCH letters at a time, or 4 MB of them."""
    batch: list[Numbered] = []
    size = 0
    for each in numbered:
        batch.append(each)
        size += len(each[1].value or b"")
        if len(batch) == BATCH or size > 4_000_000:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _mark(identity: LetterId, letter: DeadLetter, at: int) -> DeadLetter:
    return DeadLetter(
        stage=REPLAYED,
        reason="replayed",
        detail=f"written back to {letter.topic}; it had been given up by {letter.stage}: {letter.reason}",
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        key=str(identity).encode(),
        at=at,
    )


def _failure(failed: KafkaException) -> ReplayFailed:
    error = failed.args[0]
    if isinstance(error, KafkaError) and error.code() in _FENCED:
        return ReplayFailed("another replay was started meanwhile and goes on; look at its result first")
    return ReplayFailed(
        f"the broker did not take them: {error.str() if isinstance(error, KafkaError) else error}"
    )
