"""The order in which a processor must have read the records of one key, found from the rows it left behind.

A changelog that nothing was compacted from holds the rows of a key as each transaction left them, one after
the other. An order of the key's inputs explains it when the pure decision, input after input, comes past
exactly these rows and ends at the last of them, each decision's effects are somewhere in the outputs, and
each input of each topic is read, those of one topic in their order. Then the effects of these decisions are
what must have been written: nothing else, and nothing less. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from streams.effects import Emit

R = TypeVar("R")
E = TypeVar("E")
MOST_STEPS = 100_000


class Input(NamedTuple, Generic[E]):
    """An event, and the broker's time of its record (ms)."""

    at: int
    event: E


class Stepped(NamedTuple, Generic[R]):
    """What a decision makes of a row: the row after it, its bytes if it is another, and what it writes;
    `possible` unless that was never written."""

    row: R | None
    value: bytes | None
    effects: tuple[Emit, ...]
    possible: bool = True


class Explained(NamedTuple, Generic[R, E]):
    """`again`: how many inputs were read a second time with a result."""

    row: R | None
    order: tuple[Input[E], ...]
    effects: tuple[Emit, ...]
    again: int


class Unexplained(NamedTuple, Generic[R, E]):
    """No order does. `explained`: how many rows at most; `row` and `heads`: what stood there then."""

    explained: int
    row: R | None
    heads: tuple[E, ...]


Step = Callable[[R | None, Input[E]], Stepped[R]]


class _Option(NamedTuple, Generic[E]):
    """What might be read next, and of which queue; `again` when it was read before."""

    queue: int
    given: Input[E]
    again: bool


class _Frame(NamedTuple, Generic[R, E]):
    """`unseen`: the row's bytes, unless they are the last of the rows found. `emitted`: effects so far."""

    positions: tuple[int, ...]
    found: int
    row: R | None
    unseen: bytes | None
    options: Iterator[_Option[E]]
    taken: Input[E] | None
    effects: tuple[Emit, ...]
    emitted: int
    again: int


def explain(
    queues: Sequence[Sequence[Input[E]]],
    rows: Sequence[bytes],
    step: Step[R, E],
    *,
    fits: Callable[[R, int], bool] = lambda _row, _found: True,
    again: int = 0,
    covers: Callable[[tuple[Emit, ...]], bool] | None = None,
) -> Explained[R, E] | Unexplained[R, E]:
    """An order of all inputs that comes past these rows; the earliest first, wherever several do. A row
    between two of them was changed again within its transaction.

    `again`: so many inputs at most are read again (after a crash) with another result than before. `fits`:
    whether a row may be on the way to the rows[i]; what cannot be is not followed. `covers`: whether all the
    effects together are enough; orders that lead to the same rows may differ in them. Raises OverflowError
    when there are more orders than can be tried.
    """
    seen: set[tuple[tuple[int, ...], int, bytes | None, int, int]] = set()
    path: list[_Frame[R, E]] = [_frame(queues, (0,) * len(queues), 0, None, None, None, (), 0, again)]
    deepest = path[0]
    steps = 0
    while path:
        frame = path[-1]
        if frame.found == len(rows) and frame.unseen is None and all(map(_is_end, frame.positions, queues)):
            order = tuple(each.taken for each in path if each.taken is not None)
            effects = tuple(effect for each in path for effect in each.effects)
            if covers is None or covers(effects):
                return Explained(frame.row, order, effects, len(order) - sum(map(len, queues)))
        choice = next(frame.options, None)
        if choice is None:
            path.pop()
            continue
        steps += 1
        if steps > MOST_STEPS:
            raise OverflowError(f"{steps} decisions tried on {len(rows)} rows")
        row, value, effects, possible = step(frame.row, choice.given)
        if not possible or (value is None and choice.again):
            continue
        if value is not None and frame.found == len(rows):
            continue
        positions = frame.positions if choice.again else _advanced(frame.positions, choice.queue)
        found, unseen = frame.found, frame.unseen
        if value is not None:
            is_next = value == rows[found]
            if not is_next and row is not None and not fits(row, found):
                continue
            found, unseen = found + is_next, None if is_next else value
        left = frame.again - choice.again
        emitted = frame.emitted + len(effects)
        place = (positions, found, unseen, left, 0 if covers is None else emitted)
        if place not in seen:
            seen.add(place)
            path.append(_frame(queues, positions, found, row, unseen, choice.given, effects, emitted, left))
            if found >= deepest.found:
                deepest = path[-1]
    heads = [queue[at].event for queue, at in zip(queues, deepest.positions, strict=True) if at < len(queue)]
    return Unexplained(deepest.found, deepest.row, tuple(heads))


def _frame(
    queues: Sequence[Sequence[Input[E]]],
    positions: tuple[int, ...],
    found: int,
    row: R | None,
    unseen: bytes | None,
    taken: Input[E] | None,
    effects: tuple[Emit, ...],
    emitted: int,
    again: int,
) -> _Frame[R, E]:
    """Its options: the earliest head first; then, where it may be, what was read before."""
    heads = [
        _Option(number, queue[at], again=False)
        for number, (queue, at) in enumerate(zip(queues, positions, strict=True))
        if at < len(queue)
    ]
    heads.sort(key=lambda option: (option.given.at, option.queue))
    before = (
        _Option(number, given, again=True)
        for number, (queue, at) in enumerate(zip(queues, positions, strict=True))
        for given in queue[:at]
        if again
    )
    return _Frame(positions, found, row, unseen, chain(heads, before), taken, effects, emitted, again)


def _is_end(position: int, queue: Sequence[Input[E]]) -> bool:
    return position == len(queue)


def _advanced(positions: tuple[int, ...], number: int) -> tuple[int, ...]:
    return (*positions[:number], positions[number] + 1, *positions[number + 1 :])
