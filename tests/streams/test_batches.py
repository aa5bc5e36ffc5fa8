"""The chain of fetched batches: nothing is passed over unnoticed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.batches import BATCH, Batch, Chain, PlaceLost

ONE, OTHER = TP("requests", 0), TP("requests", 1)


def records(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


def fetch(chain: Chain, *offsets: int, tp: TP = ONE) -> list[Batch]:
    return list(chain.batches(tp, 1, records(*offsets)))


def test_the_first_batch_of_an_assignment_follows_from_where_it_begins() -> None:
    chain = Chain()
    (batch,) = fetch(chain, 40, 41)
    assert (batch.follows, batch.end) == (40, 42)
    chain.check(batch, {})


def test_a_fetch_is_cut_into_batches_that_follow_each_other() -> None:
    batches = fetch(Chain(), *range(100, 100 + 2 * BATCH + 1))
    assert [(batch.follows, batch.end) for batch in batches] == [
        (100, 100 + BATCH),
        (100 + BATCH, 100 + 2 * BATCH),
        (100 + 2 * BATCH, 101 + 2 * BATCH),
    ]


def test_offsets_without_records_are_no_gap() -> None:
    chain = Chain()
    fetch(chain, 0, 1)
    (after_a_marker,) = fetch(chain, 7)
    chain.check(after_a_marker, {ONE: 2})


def test_a_batch_whose_predecessor_was_not_handled_is_refused() -> None:
    chain = Chain()
    fetch(chain, 0, 1)
    (second,) = fetch(chain, 2, 3)
    with pytest.raises(PlaceLost, match=r"requests \[0\]: what lies between the offsets 0 and 2 was fetched"):
        chain.check(second, {})
    chain.check(second, {ONE: 2})


def test_a_batch_after_one_that_was_handled_in_part_is_refused() -> None:
    first, _, third = fetch(chain := Chain(), *range(3 * BATCH))
    with pytest.raises(PlaceLost):
        chain.check(third, {ONE: first.end})


def test_records_that_are_read_again_pass() -> None:
    chain = Chain()
    fetch(chain, 5, 6, 7)
    (again,) = fetch(chain, 6, 7, 8)
    chain.check(again, {ONE: 8})
    chain.check(again, {ONE: 6})


def test_each_partition_has_its_own_place() -> None:
    chain = Chain()
    fetch(chain, 0, 1)
    (batch,) = fetch(chain, 9, tp=OTHER)
    chain.check(batch, {})
