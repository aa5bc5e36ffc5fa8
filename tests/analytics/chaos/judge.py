"""The judge: a process that reads the topics along with the sinks, and says in the end what is wrong.

Guarantees: what must be in the database is worked out from the topics' records alone, all of them, from the
first to the ends it is given. Reads along at a low priority, so that the end of a run is not spent on reading
all of it once more; judges with two processes, as each core has a table to compare then.
Leaves to `recomputed`, `views` and `hours` what must be there, to `verdict` the comparison.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.pool import AsyncResult, Pool
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from tests.analytics.chaos.answers import Answers
from tests.analytics.chaos.recomputed import Lying, Place, Tables
from tests.analytics.chaos.shapes import (
    EVERYTHING,
    HOURLY,
    MIXED,
    NOT_OF_THE_SINK,
    SUMS,
    TABLES,
    VIEWS,
    Shape,
    uncompared,
)
from tests.analytics.chaos.tables import LookedUp
from tests.analytics.chaos.terms import KEY, LANDS, PARTITIONS
from tests.analytics.chaos.verdict import BEFORE, Checked, Verdict, assembled, check, everything

_READ_WITHIN_S = 180.0
_ANSWER_S = 600.0
_END_S = 30.0
_AT_ONCE = 5_000
_HANDS = 2
_NICE = 10


class Case(NamedTuple):
    """What is to be judged: the topics up to `ends`, what look-ups told, and where the poison was put."""

    database_url: str
    ends: Mapping[tuple[str, int], int]
    looked_up: Sequence[LookedUp]
    poison: Mapping[Place, str]


class JudgeFailed(Exception):
    """The process came to no verdict; the message says why, as far as it could tell."""


class Judge:
    """Reads from `with` on; one verdict."""

    def __init__(self, kafka: Kafka, registry_url: str) -> None:
        context = get_context("spawn")
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, kafka, registry_url))
        self._theirs = theirs

    def verdict(self, case: Case) -> Verdict:
        """All must be at rest: nobody writes any more. Raises JudgeFailed."""
        self._end.send(case)
        try:
            answer = self._end.recv() if self._end.poll(_ANSWER_S) else f"none within {_ANSWER_S:g} s"
        except EOFError:
            answer = "it ended; what it said is on stderr"
        if not isinstance(answer, Verdict):
            raise JudgeFailed(f"no verdict: {answer}")
        return answer

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(connection: Connection, kafka: Kafka, registry_url: str) -> None:
    os.nice(_NICE)
    # Millions of rows that never go in circles would be looked through again and again.
    gc.disable()
    with closing(connection):
        try:
            with closing(Codec(registry_url)) as codec:
                found = Tables(codec, KEY)
                case = _read_along(connection, kafka, found)
            if case is not None:
                connection.send(_judged(found, case))
        except Exception as failed:
            connection.send(f"{type(failed).__name__}: {failed}")
            raise


def _read_along(connection: Connection, kafka: Kafka, found: Tables) -> Case | None:
    """Every record there is until a case comes, and then up to its ends. None when nobody waits any more."""
    consumer = Consumer(kafka.consumer("judge", "nobody"))
    reached = {(topic.value, number): 0 for topic in LANDS for number in range(PARTITIONS)}
    case: Case | None = None
    deadline = 0.0
    try:
        consumer.assign([TopicPartition(*place, 0) for place in reached])
        while case is None or any(reached[place] < end for place, end in case.ends.items()):
            for message in consumer.consume(_AT_ONCE, 0.2):
                topic, partition, offset = message.topic(), message.partition(), message.offset()
                if message.error() is not None or topic is None or partition is None or offset is None:
                    # librdkafka mends by itself what it tells of; what it cannot ends in the deadline.
                    continue
                assert offset == reached[topic, partition], f"{topic}[{partition}] leaps to {offset}"
                found.add(Lying(Place(topic, partition, offset), message.value()))
                reached[topic, partition] = offset + 1
            if case is None and connection.poll():
                try:
                    case = connection.recv()
                except EOFError:
                    return None
                deadline = time.monotonic() + _READ_WITHIN_S
            if case is not None and time.monotonic() > deadline:
                open_ = {place: end for place, end in case.ends.items() if reached[place] < end}
                raise TimeoutError(f"not read to the end within {_READ_WITHIN_S:g} s: {open_}")
    finally:
        consumer.close()
    return case


_wanted: Tables
_database_url: str


def _judged(found: Tables, case: Case) -> Verdict:
    """Compare everything; the touched hours are summed meanwhile."""
    global _wanted, _database_url  # what the forked hands begin with
    for told in case.looked_up:
        found.look_up(told)
    _wanted, _database_url = found, case.database_url
    with Answers(case.database_url) as answers, get_context("fork").Pool(_HANDS) as hands:
        strangers = uncompared(answers.tables())
        before = _started(hands, MIXED, BEFORE)
        landed = _started(hands, (*TABLES, *VIEWS))
        checked = [each.get() for each in before]
        answers.sum_up()
        summed = _started(hands, (*HOURLY, *SUMS, *MIXED))
        checked += [each.get() for each in (*landed, *summed)]
        held = answers.count(tuple(sorted(NOT_OF_THE_SINK)))
        hands.close()
        hands.join()
    assert {each.name for each in checked} >= {shape.name for shape in EVERYTHING}
    verdict = assembled(found, case.poison, checked)
    verdict.wrong += [f"{name}: it is there, and nobody compares it" for name in strangers]
    verdict.wrong += [f"{name}: {rows} rows that nobody wrote" for name, rows in held.items() if rows]
    return verdict


def _started(hands: Pool, shapes: Iterable[Shape], when: str = "") -> list[AsyncResult[Checked]]:
    return [hands.apply_async(_check, (shape, when)) for shape in shapes]


def _check(shape: Shape, when: str) -> Checked:
    with Answers(_database_url) as answers:
        return check(shape, everything(_wanted)[shape.name](), answers.rows(shape), when)
