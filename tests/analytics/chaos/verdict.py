"""The verdict: what the database holds, against what the topics' records make of it.

Pure, so that a test can show each wrong it must find. Leaves to `judge` what is asked and read, and by whom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.topics import Topic
from tests.analytics.chaos.hours import hourly, sums
from tests.analytics.chaos.recomputed import Place, Tables
from tests.analytics.chaos.shapes import EVERYTHING, MIXED, Shape
from tests.analytics.chaos.tables import Row
from tests.analytics.chaos.views import views

SHOWN = 20
BEFORE = "before the refresh, "


class Counted(NamedTuple):
    """Rows that must be there, and that are."""

    wanted: int
    held: int


class Checked(NamedTuple):
    """What was found of one table or view."""

    name: str
    counted: Counted
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Verdict:
    """`wrong` is empty when every row is as it must be; the rest says what was looked at."""

    wrong: list[str] = field(default_factory=list)
    rows: dict[str, Counted] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)
    records: int = 0
    letter_copies: int = 0

    def __str__(self) -> str:
        listed = ", ".join(
            f"{name} {counted.held:,}" + (f" of {counted.wanted:,}" if counted.held != counted.wanted else "")
            for name, counted in self.rows.items()
        )
        unreadable = ", ".join(f"{number} {why}" for why, number in self.unreadable.most_common()) or "none"
        return (
            f"{self.records:,} records in the topics; unreadable: {unreadable}; "
            f"{self.letter_copies} copies of dead letters\nrows: {listed}"
        )


def judge(
    wanted: Tables,
    held: Mapping[str, Sequence[Row]],
    before: Mapping[str, Sequence[Row]],
    poison: Mapping[Place, str],
) -> Verdict:
    """`held`: every table and view as it answers when all touched hours were summed, `before`: what the
    `MIXED` views said before that; `poison`: where what nobody can read was written, and what it is. All must
    be at rest."""
    rows = everything(wanted)
    checked = [check(shape, rows[shape.name](), before[shape.name], BEFORE) for shape in MIXED]
    checked += [check(shape, rows[shape.name](), held[shape.name]) for shape in EVERYTHING]
    return assembled(wanted, poison, checked)


def everything(of: Tables) -> Mapping[str, Callable[[], Iterable[Row]]]:
    """What every table and view must hold, by name, made when asked for."""
    return {**of.rows(), **views(of), **hourly(of), **sums(of)}


def assembled(wanted: Tables, poison: Mapping[Place, str], checked: Iterable[Checked]) -> Verdict:
    """The verdict over all, from those over each table."""
    why = Counter(refused.why for refused in wanted.unreadable.values())
    verdict = Verdict(records=wanted.read, unreadable=why)
    verdict.wrong += _some("poison", _blind_to(wanted, poison))
    verdict.wrong += _some("dead letters", _wrong_letters(wanted))
    verdict.letter_copies = sum(len(letters) - 1 for letters in wanted.given_up.values())
    for each in checked:
        verdict.wrong += each.wrong
        verdict.rows[each.name] = each.counted
    return verdict


def _blind_to(wanted: Tables, poison: Mapping[Place, str]) -> Iterable[str]:
    """Otherwise the recomputation could be blind where the sink is."""
    for place, what in poison.items():
        if place not in wanted.unreadable:
            yield f"{_at(place)}: {what}, and the recomputation could read it"
    for place, refused in wanted.unreadable.items():
        if place not in poison:
            yield f"{_at(place)}: written whole, and the recomputation says {refused.why}"


def _wrong_letters(wanted: Tables) -> Iterable[str]:
    """One for each unreadable record, with its reason and bytes, and none for another."""
    # What is unreadable among the dead letters themselves would go round for ever.
    due = {place: r for place, r in wanted.unreadable.items() if place.topic != Topic.DEAD_LETTERS}
    for place, refused in due.items():
        letters = wanted.given_up.get(place, ())
        if not letters:
            yield f"{_at(place)}: {refused.why}, and no dead letter"
        for letter in letters:
            if letter.reason != refused.why:
                yield f"{_at(place)}: {refused.why}, and its dead letter says {letter.reason}"
            if (letter.value or b"") != (refused.value or b""):
                yield f"{_at(place)}: its dead letter holds other bytes"
    for place in wanted.given_up.keys() - due.keys():
        yield f"{_at(place)}: a dead letter of a record that can be read"


def check(shape: Shape, wanted: Iterable[Row], held: Sequence[Row], when: str = "") -> Checked:
    """One table or view, row by row; `when` is said before its name."""
    due, there = shape.by_key(wanted), shape.by_key(held)
    counted = Counted(len(due), len(held))
    if due == there and len(there) == len(held):
        return Checked(when + shape.name, counted, ())
    differences = []
    if len(there) != len(held):
        twice = Counter(key for row in held for key in shape.by_key([row]))
        differences += [f"{_key(shape, key)}: {number} rows" for key, number in twice.items() if number > 1]
    differences += [f"{_key(shape, key)}: missing" for key in due.keys() - there.keys()]
    differences += [
        f"{_key(shape, key)}: nothing says that it should be" for key in there.keys() - due.keys()
    ]
    differences += [
        f"{_key(shape, key)}: {_unlike(shape, row, there[key])}"
        for key, row in due.items()
        if key in there and there[key] != row
    ]
    return Checked(when + shape.name, counted, tuple(_some(when + shape.name, differences)))


def _unlike(shape: Shape, wanted: Row, held: Row) -> str:
    return ", ".join(
        f"{column} is {is_!r} and must be {must!r}"
        for column, must, is_ in zip(shape.columns, wanted, held, strict=True)
        if must != is_
    )


def _some(name: str, differences: Iterable[str]) -> Iterable[str]:
    """As one wrong, with the first of them."""
    found = sorted(differences)
    if found:
        yield f"{name}: {len(found)} differences" + "".join(f"\n    {each}" for each in found[:SHOWN])


def _key(shape: Shape, key: Row) -> str:
    return " ".join(f"{column}={value}" for column, value in zip(shape.key, key, strict=True))


def _at(place: Place) -> str:
    return f"{place.topic}[{place.partition}]@{place.offset}"
