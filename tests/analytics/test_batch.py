"""Ranges: what a note says is repeated exactly, whatever else was read meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics.batch import Batch
from sinks.analytics.ranges import Range, cut_in, note_of

HERE = ("topic", 0)
THERE = ("topic", 1)


def _fill(batch: Batch, offsets: range, partition: tuple[str, int] = HERE) -> None:
    for offset in offsets:
        batch.add(partition, offset, None, b"%d" % offset)


@given(st.lists(st.integers(0, 10**15), min_size=1, unique=True).map(sorted))
def test_a_note_says_where_its_range_ends(offsets: list[int]) -> None:
    made = Range("topic", 3)
    for offset in offsets:
        made.add(offset, None, b"")
    assert cut_in(note_of(made), made.start) == offsets[-1] + 1


@pytest.mark.parametrize("note", [None, "", "something else", "range-end=5", "range-end=x"])
def test_a_note_of_somebody_else_or_of_a_range_that_is_in_says_nothing(note: str | None) -> None:
    assert cut_in(note, 5) is None


def test_a_range_with_a_cut_is_handed_out_when_it_is_complete_and_alone() -> None:
    batch = Batch()
    batch.expect(HERE, 10)
    _fill(batch, range(5, 9))
    assert batch.take() == []
    _fill(batch, range(9, 12))
    (first,) = batch.take()
    assert first.offsets == [5, 6, 7, 8, 9]
    (second,) = batch.take()
    assert second.offsets == [10, 11]
    assert len(batch) == 0


def test_other_partitions_do_not_wait_for_a_range_to_be_complete() -> None:
    batch = Batch()
    batch.expect(HERE, 10)
    _fill(batch, range(5, 9))
    _fill(batch, range(3), THERE)
    assert [ready.of for ready in batch.take()] == [THERE]
    assert batch.waiting() == {HERE: 10}


def test_a_record_beyond_the_cut_shows_that_nothing_before_it_is_left() -> None:
    batch = Batch()
    batch.expect(HERE, 10)
    _fill(batch, range(5, 8))
    _fill(batch, range(12, 13))
    assert [ready.offsets for ready in (*batch.take(), *batch.take())] == [[5, 6, 7], [12]]


def test_a_range_whose_records_are_all_gone_is_no_range() -> None:
    batch = Batch()
    batch.expect(HERE, 10)
    batch.expect(THERE, 10)
    batch.no_more(THERE)
    _fill(batch, range(12, 13))
    assert [ready.offsets for ready in batch.take()] == [[12]]
    assert batch.waiting() == {}


def test_records_that_are_fetched_again_are_held_once() -> None:
    batch = Batch()
    _fill(batch, range(5, 9))
    _fill(batch, range(5, 7))
    (only,) = batch.take()
    assert only.offsets == [5, 6]


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=20),
    st.integers(0, 20),
    st.integers(1, 30) | st.none(),
)
def test_many_at_once_are_the_same_as_one_by_one(offsets: list[int], split: int, cut: int | None) -> None:
    singly, together = Batch(), Batch()
    for batch in (singly, together):
        if cut is not None:
            batch.expect(HERE, cut)
    values: list[bytes | None] = [b"%d" % offset if offset % 7 else None for offset in offsets]
    for offset, value in zip(offsets, values, strict=True):
        singly.add(HERE, offset, None, value)
    for part in (slice(0, split), slice(split, None)):
        if offsets[part]:
            together.extend(HERE, offsets[part], [None] * len(offsets[part]), values[part])
    assert (len(together), together.size, together.waiting()) == (len(singly), singly.size, singly.waiting())
    assert [together.take(), together.take()] == [singly.take(), singly.take()]


def test_what_is_dropped_counts_no_more() -> None:
    batch = Batch()
    _fill(batch, range(100, 109))
    _fill(batch, range(3), THERE)
    batch.drop([HERE])
    assert (len(batch), batch.size) == (3, 3)


def test_the_token_names_place_and_content_of_what_lands() -> None:
    def token(values: list[bytes | None], without: tuple[int, ...] = (), start: int = 0) -> str:
        made = Range("topic", 0)
        for number, value in enumerate(values):
            made.add(start + number, None, value)
        return made.token(without)

    tokens = [
        token([b"a", b"b"]),
        token([b"a", b"c"]),
        token([b"a", b"b"], (1,)),
        token([b"a", b"b"], start=1),
        token([b"a"]),
    ]
    assert len(set(tokens)) == len(tokens)
    assert token([b"a", b"b"]) == tokens[0]
