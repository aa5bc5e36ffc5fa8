"""The dead letters of a pipeline: which there are, which were replayed, and which can be.

A replay is remembered in `dead.letters` itself, as a record of stage REPLAYED that names the letter by its
key and has the place of its origin: it is kept exactly as long as the letters are, lands in ClickHouse beside
them, and needs no other store. Guarantees: reads only, and nobody's offsets move; several letters of one
record at one stage (a crash leaves copies) are one to `replayed` and to whoever replays.
Leaves to `replaying` the writing.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from notifystream.positions import Edge, Position
from notifystream.reading import Undecodable, read
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import Topic, load_topics

REPLAYED = "notifystream deadletters"
_PLACE = re.compile(r"(\d+)@(\d+)")
# As streams.processors words it when it keeps less than all.
_CUT = re.compile(r"\[the first (\d+) of (\d+) bytes are kept here\]")
_LONGEST_KEY = 32_000  # what streams.processors keeps of a key


class BadLetterId(Exception):
    """This names no dead letter; the message says how one is named."""


class LetterId(NamedTuple):
    """Where the letter stands in dead.letters; written `3@17`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """Raises BadLetterId."""
        found = _PLACE.fullmatch(text.strip())
        if found is None:
            raise BadLetterId(
                f"{text!r} is no dead letter's id; they look like 3@17: see notifystream deadletters list"
            )
        return cls(int(found[1]), int(found[2]))


class Origin(NamedTuple):
    """What was given up where: letters that agree in this are copies of one."""

    stage: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A letter without its bytes. Times are milliseconds since the epoch."""

    id: LetterId
    origin: Origin
    reason: str
    detail: str
    size: int | None
    at_ms: int
    replayed_ms: int | None = None
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which letters are meant; what is None does not restrict."""

    ids: frozenset[LetterId] | None = None
    reason: str | None = None
    stage: str | None = None
    topic: str | None = None

    def take(self, heading: Heading) -> bool:
        return (
            (self.ids is None or heading.id in self.ids)
            and self.reason in (None, heading.reason)
            and self.stage in (None, heading.origin.stage)
            and self.topic in (None, heading.origin.topic)
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """The letters that were meant, oldest first, and how many records of the topic nobody could read."""

    letters: tuple[Heading, ...]
    unreadable: int

    def counts(self) -> Counter[tuple[str, str, str]]:
        """How many by (stage, reason, topic)."""
        return Counter((each.origin.stage, each.reason, each.origin.topic) for each in self.letters)


def overview(
    kafka: Kafka,
    codec: Codec,
    filters: Filters,
    since: Position = Edge(beginning=True),  # noqa: B008 - frozen
) -> Overview:
    """Everything that is in dead.letters by now. Raises what `reading.read` raises."""
    headings: list[Heading] = []
    replayed: dict[Origin, int] = {}
    by_id: dict[LetterId, Origin] = {}
    marks: list[tuple[LetterId, int]] = []
    unreadable = 0
    for found in _contents(kafka, codec, since):
        if isinstance(found, Undecodable):
            unreadable += 1
            continue
        place, letter = found
        if letter.stage == REPLAYED:
            marks.append((LetterId.parse((letter.key or b"").decode(errors="replace")), letter.at))
            continue
        heading = _heading(place, letter)
        by_id[place] = heading.origin
        headings.append(heading)
    for place, at in marks:
        if place in by_id:
            replayed[by_id[place]] = at
    meant = [replace(each, replayed_ms=replayed.get(each.origin)) for each in headings if filters.take(each)]
    return Overview(tuple(sorted(meant, key=lambda each: (each.at_ms, each.id))), unreadable)


def letters(
    kafka: Kafka,
    codec: Codec,
    wanted: Container[LetterId],
    since: Position = Edge(beginning=True),  # noqa: B008
) -> Iterator[tuple[LetterId, DeadLetter]]:
    """The wanted letters with their bytes, one partition's in order."""
    for found in _contents(kafka, codec, since):
        if not isinstance(found, Undecodable) and found[0] in wanted and found[1].stage != REPLAYED:
            yield found


def first_of_each(headings: Iterable[Heading]) -> Iterator[Heading]:
    """One letter for each record that was given up."""
    seen: set[Origin] = set()
    for heading in headings:
        if heading.origin not in seen:
            seen.add(heading.origin)
            yield heading


def obstacle(letter: DeadLetter) -> str | None:
    """Why the letter cannot be written back to where it was read, or None when it can."""
    cut = _CUT.search(letter.detail)
    specs = {str(topic): spec for topic, spec in load_topics().topics.items()}
    spec = specs.get(letter.topic)
    if cut is not None:
        return f"it is not whole: only the first {cut[1]} of its {cut[2]} bytes were kept"
    if len(letter.key or b"") >= _LONGEST_KEY:
        return f"it is not whole: only the first {_LONGEST_KEY} bytes of its key were kept"
    if letter.partition < 0:
        return "it came by a webhook: its bytes are what was posted, not a record of the topic"
    if letter.value is None:
        return "there are no bytes to write: the record had no value"
    if spec is None:
        return f"{letter.topic} is not a topic of this pipeline"
    if spec.compact:
        return f"{letter.topic} keeps the last record of each key, and this one could replace a newer one"
    return None


def _heading(place: LetterId, letter: DeadLetter) -> Heading:
    return Heading(
        id=place,
        origin=Origin(letter.stage, letter.topic, letter.partition, letter.offset),
        reason=letter.reason,
        detail=letter.detail,
        size=None if letter.value is None else len(letter.value),
        at_ms=letter.at,
        obstacle=obstacle(letter),
    )


def _contents(
    kafka: Kafka, codec: Codec, since: Position
) -> Iterator[tuple[LetterId, DeadLetter] | Undecodable]:
    for seen in read(kafka, codec, Topic.DEAD_LETTERS, since, follow=False):
        if seen is None:
            continue
        if isinstance(seen.content, DeadLetter):
            yield LetterId(seen.partition, seen.offset), seen.content
        elif isinstance(seen.content, Undecodable):
            yield seen.content
