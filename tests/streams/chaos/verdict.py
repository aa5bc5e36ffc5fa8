"""The verdict, from Kafka and the processes' disks alone: nothing missing, nothing extra, every row
explained.

Each partition is judged in one of two child processes (`judging`). Held against each other: the rows in the
changelogs and the pure functions' rows; what must have been written and what was, byte for byte; the dead
letters and what was unreadable; the public answers and the stories behind them; the disks and the changelogs.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from schemas.codec import Codec
from schemas.records import DeadLetter, NotificationOutcome
from schemas.topics import Topic
from schemas.vocabulary import NotificationState
from tests.streams.chaos.judging import (
    Digest,
    Expected,
    Outputs,
    Server,
    Written,
    judge_delivery,
    judge_intake,
    judge_recipients,
    know,
    survey,
)
from tests.streams.chaos.outside import Place
from tests.streams.chaos.reading import Reader
from tests.streams.chaos.stores import check_stores
from tests.streams.chaos.terms import PARTITIONS

_CHILDREN = 2
# Written again, in the same words, when what they answer is read again after a crash.
_COPIED = frozenset({Topic.REQUESTS, Topic.VERDICTS})


@dataclass(slots=True)
class Verdict:
    """`wrong` is empty when all promises were kept; the rest says what was looked at."""

    wrong: list[str]
    notifications: int = 0
    recipients: int = 0
    rows: int = 0
    effects: int = 0
    copies: int = 0
    ticks_twice: int = 0
    again: int = 0
    late: int = 0
    differing: int = 0
    dead_letters: int = 0
    dead_letter_copies: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows of {self.notifications} notifications and {self.recipients} recipients follow "
            f"from their inputs; {self.effects} effects compared byte for byte; permitted copies: "
            f"{self.copies} of answers, {self.ticks_twice} of ticks, {self.dead_letter_copies} of the "
            f"{self.dead_letters} dead letters; {self.again} checks answered anew; {self.late} notifications "
            f"not read in the order of time, {self.differing} would stand otherwise if they had been"
        )


def judge(
    server: Server, unreadable: dict[Place, bytes | None], datadirs: list[Path], directory: Path
) -> Verdict:
    """The processes must have ended. `unreadable`: what was written for nobody to read, and where it lies."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_CHILDREN, mp_context=spawned) as pool:
        surveys = [pool.submit(survey, server, partition) for partition in range(PARTITIONS)]
        wrong = check_stores(server.kafka, datadirs, directory / "fresh")
        written = [future.result() for future in surveys]
    commands: dict[str, frozenset[Digest]] = {}
    for some in written:  # a notification's commands may stand on several partitions, by their senders
        for notification, these in some.commands.items():
            commands[notification] = commands.get(notification, frozenset()) | these
    outputs = Outputs(frozenset(digest for some in written for digest in some.found), commands)
    with ProcessPoolExecutor(_CHILDREN, spawned, initializer=know, initargs=(outputs,)) as pool:

        def each(task: object) -> list[Future[Expected]]:
            return [pool.submit(task, server, partition) for partition in range(PARTITIONS)]  # type: ignore[arg-type]

        futures = [each(judge_delivery), each(judge_recipients), each(judge_intake)]
        told = [[future.result() for future in some] for some in futures]
    verdict = Verdict(
        wrong + [each for some in told for expected in some for each in expected.strange],
        notifications=sum(each.keys for each in told[0]),
        recipients=sum(each.keys for each in told[1]),
        rows=sum(each.rows for some in told[:2] for each in some),
        ticks_twice=sum(each.ticks_twice for each in told[0]),
        again=sum(each.again for each in told[1]),
        late=sum(each.late for each in told[0]),
        differing=sum(each.differing for each in told[0]),
    )
    everything = [expected for some in told for expected in some]
    with closing(Codec(server.registry)) as codec, Reader(server.kafka) as reader:
        _check_effects(verdict, everything, written, unreadable, reader, codec)
        _check_dead_letters(verdict, everything, unreadable, reader, codec)
    _check_sends(verdict, written)
    return verdict


def _check_effects(
    verdict: Verdict,
    told: list[Expected],
    written: list[Written],
    unreadable: dict[Place, bytes | None],
    reader: Reader,
    codec: Codec,
) -> None:
    expected: Counter[Digest] = Counter()
    for each in told:
        expected.update(each.written)
    found: dict[Digest, list[Place]] = {}
    for some in written:
        for digest, places in some.found.items():
            ours = [place for place in places if place not in unreadable]
            if ours:
                found.setdefault(digest, []).extend(ours)
    verdict.effects = expected.total()
    missing = 0
    for digest, times in expected.items():
        places = found.get(digest, [])
        # Which of several questions got the same answer cannot be told from the answers.
        enough = 1 if places and places[0].topic in _COPIED else times
        missing += len(places) < enough
    if missing:
        verdict.wrong.append(f"{missing} effects are missing from the outputs")
    for digest, places in found.items():
        extra = len(places) - expected[digest]
        if extra <= 0:
            continue
        if digest in expected and (places[0].topic in _COPIED or _is_refusal(places[0], reader, codec)):
            verdict.copies += extra
        else:
            verdict.wrong.append(f"written {extra} times too often: {places}")


def _is_refusal(place: Place, reader: Reader, codec: Codec) -> bool:
    if place.topic != Topic.OUTCOMES:
        return False
    with closing(reader.records(place.topic, place.partition, place.offset)) as found:
        raw = next(found)
    return codec.decode(raw.value, NotificationOutcome).state is NotificationState.CONFLICT


def _check_dead_letters(
    verdict: Verdict,
    told: list[Expected],
    unreadable: dict[Place, bytes | None],
    reader: Reader,
    codec: Codec,
) -> None:
    met = {place: value for each in told for place, value in each.unreadable.items()}
    if met != unreadable:
        verdict.wrong.append(f"unreadable by plan or by test, not both: {met.keys() ^ unreadable.keys()}")
    letters: dict[Place, list[DeadLetter]] = {}
    for partition in range(PARTITIONS):
        for raw in reader.records(Topic.DEAD_LETTERS, partition):
            letter = codec.decode(raw.value, DeadLetter)
            letters.setdefault(Place(letter.topic, letter.partition, letter.offset), []).append(letter)
    verdict.dead_letters = len(letters)
    verdict.dead_letter_copies = sum(len(copies) - 1 for copies in letters.values())
    verdict.wrong += [f"{place}: unreadable, and no dead letter" for place in met.keys() - letters.keys()]
    verdict.wrong += [
        f"{place}: a dead letter of what can be read: {letters[place][0].reason}: {letters[place][0].detail}"
        for place in letters.keys() - met.keys()
    ]
    for place in met.keys() & letters.keys():
        first, *copies = letters[place]
        if first.value != met[place] or any(copy != first for copy in copies):
            verdict.wrong.append(f"{place}: the dead letter says something else than what was there")


def _check_sends(verdict: Verdict, written: list[Written]) -> None:
    """What holds whatever the pure functions say."""
    sends: Counter[str] = Counter()
    admitted: set[str] = set()
    for each in written:
        sends.update(each.sends)
        admitted |= each.admitted
    verdict.wrong += [f"{command} was sent {times} times" for command, times in sends.items() if times > 1]
    verdict.wrong += [f"{command} was sent without being admitted" for command in sends.keys() - admitted]
