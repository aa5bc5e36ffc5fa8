"""Rows and deadlines of a partition against a model that a child could check: dictionaries.

A crash is a new Partition over the same database: what it shows is what a restart would find.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.store.database import Database
from streams.store.partition import Due, Partition
from streams.store.rows import RowCodec
from tests.streams.test_store_rows import Row

CODEC = RowCodec(Row, lambda row: row.due_at)
KEYS = st.sampled_from([b"a", b"b", b"c"])
TIMES = st.integers(1, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.none() | TIMES),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("pop"), TIMES, st.integers(1, 3)),
        st.just(("seal",)),
        st.just(("settle",)),
        st.just(("crash",)),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as directory:
        opened = Database(Path(directory))
        yield opened
        opened.close()


@pytest.fixture
def partition(database: Database, request: pytest.FixtureRequest) -> Partition:
    made = Partition(database, 1, 7)
    made.begin_again(request.node.name)
    return made


class Model:
    """`rows` as the processors see them, `pending` what has yet to fire; copied for a crash to go back to."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}
        self.pending: dict[bytes, int] = {}

    def copy(self) -> Model:
        made = Model()
        made.rows, made.pending = dict(self.rows), dict(self.pending)
        return made


def put(partition: Partition, key: bytes, before: Row | None, after: Row | None) -> None:
    partition.put(
        key,
        None if after is None else CODEC.encode(after),
        None if before is None else before.due_at,
        None if after is None else after.due_at,
        new=before is None,
    )


def commit(partition: Partition, offset: int | None = 1) -> None:
    partition.seal()
    partition.settle(offset, 0)


def shown(partition: Partition) -> dict[bytes, Row]:
    found = {key: partition.get(key) for key in (b"a", b"b", b"c")}
    return {key: CODEC.decode(value) for key, value in found.items() if value is not None}


@settings(max_examples=200)
@given(steps=STEPS)
def test_rows_and_deadlines_are_the_models_through_any_commits_and_crashes(
    database: Database, steps: list[tuple[object, ...]]
) -> None:
    partition = Partition(database, 2, 0)
    partition.begin_again("model")
    now, sealed, committed = Model(), None, Model()
    for step in steps:
        match step:
            case ("put", bytes(key), due_at):
                before, after = now.rows.get(key), Row("x", due_at)  # type: ignore[arg-type]
                put(partition, key, before, after)
                now.rows[key] = after
                if before is None or before.due_at != due_at:
                    now.pending.pop(key, None)
                    if isinstance(due_at, int):
                        now.pending[key] = due_at
            case ("delete", bytes(key)) if key in now.rows:
                put(partition, key, now.rows.pop(key), None)
                now.pending.pop(key, None)
            case ("pop", int(at), int(at_most)):
                due = sorted((due_at, key) for key, due_at in now.pending.items() if due_at <= at)[:at_most]
                assert partition.pop_due(at, at_most) == [Due(due_at, 0, key) for due_at, key in due]
                for _, key in due:
                    del now.pending[key]
            case ("seal",) if sealed is None:
                partition.seal()
                sealed = now.copy()
            case ("settle",) if sealed is not None:
                partition.settle(None, 0)
                committed, sealed = sealed, None
            case ("crash",):
                partition = Partition(database, 2, 0)
                now, sealed = committed.copy(), None
        assert shown(partition) == now.rows
        assert partition.rows == len(now.rows)
        assert partition.timers == sum(row.due_at is not None for row in now.rows.values())


@settings(max_examples=100)
@given(
    st.lists(
        st.dictionaries(KEYS, st.none() | st.builds(Row, st.just("x"), st.none() | TIMES), max_size=3),
        max_size=6,
    )
)
def test_a_recovered_partition_has_the_last_row_of_each_key_and_its_deadline_only(
    database: Database, chunks: list[dict[bytes, Row | None]]
) -> None:
    partition = Partition(database, 3, 0)
    partition.begin_again("recovered")
    rows: dict[bytes, Row] = {}
    for chunk in chunks:
        partition.load({key: None if row is None else CODEC.encode(row) for key, row in chunk.items()}, 1, 0)
        rows = {key: row for key, row in (rows | chunk).items() if row is not None}
    assert shown(partition) == rows
    assert {key: CODEC.decode(value) for key, value in partition.committed()} == rows
    pending = sorted(Due(row.due_at, 0, key) for key, row in rows.items() if row.due_at is not None)
    assert (partition.rows, partition.timers) == (len(rows), len(pending))
    assert partition.pop_due(99, 9) == pending


def test_what_was_not_committed_is_not_on_the_disk(database: Database, partition: Partition) -> None:
    put(partition, b"a", None, Row("committed", 5))
    commit(partition, 3)
    put(partition, b"a", Row("committed", 5), Row("open", 9))
    partition.seal()  # and the transaction is never committed
    put(partition, b"b", None, Row("open"))
    found = Partition(database, 1, 7)
    assert shown(found) == {b"a": Row("committed", 5)}
    assert found.pop_due(99, 9) == [Due(5, 7, b"a")]
    assert found.reached.offset == 3


def test_a_row_changed_while_its_predecessor_is_being_committed_is_the_newer_one(
    database: Database, partition: Partition
) -> None:
    put(partition, b"a", None, Row("older", 5))
    partition.seal()
    put(partition, b"a", Row("older", 5), Row("newer", 6))
    partition.settle(3, 0)
    assert shown(partition) == {b"a": Row("newer", 6)}
    assert shown(Partition(database, 1, 7)) == {b"a": Row("older", 5)}
    assert partition.pop_due(99, 9) == [Due(6, 7, b"a")]


def test_the_offset_never_goes_back_and_stays_where_no_row_was_changed(partition: Partition) -> None:
    put(partition, b"a", None, Row("x", 5))
    commit(partition, 9)
    assert partition.pop_due(5, 9)
    commit(partition, None)
    assert partition.reached.offset == 9


def test_a_partition_that_stays_the_same_is_known_to_be_up_to_date_all_the_same(
    database: Database, partition: Partition
) -> None:
    put(partition, b"a", None, Row("x"))
    commit(partition, 9)
    for at in (60_000, 7_200_000):
        partition.seal()
        partition.settle(None, at)
    assert Partition(database, 1, 7).reached == partition.reached
    assert (partition.reached.at, partition.reached.offset) == (7_200_000, 9)


def test_a_deadline_that_fired_does_not_come_again_once_that_is_committed(
    database: Database, partition: Partition
) -> None:
    put(partition, b"a", None, Row("x", 5))
    commit(partition)
    assert partition.pop_due(5, 9) == [Due(5, 7, b"a")]
    assert Partition(database, 1, 7).pop_due(5, 9) == [Due(5, 7, b"a")]
    commit(partition, None)
    assert Partition(database, 1, 7).pop_due(5, 9) == []


def test_other_partitions_and_tables_are_not_seen(database: Database, partition: Partition) -> None:
    for table, number in ((1, 6), (1, 8), (0, 7), (2, 7)):
        other = Partition(database, table, number)
        other.begin_again("other")
        put(other, b"a", None, Row("other", 5))
        commit(other)
    assert shown(partition) == {}
    assert partition.pop_due(99, 9) == []
    partition.begin_again("again")
    assert shown(Partition(database, 2, 7)) == {b"a": Row("other", 5)}


def test_of_many_deadlines_only_those_due_are_looked_at(partition: Partition, database: Database) -> None:
    value = CODEC.encode(Row("x", 1))[:1]
    due = range(1_000, 21_000)
    partition.load(
        {b"k%d" % at: value + at.to_bytes(8, "big") + msgspec.msgpack.encode(("x", at)) for at in due}, 1, 0
    )
    seen = 0
    scan = database.keys

    def counted(start: bytes, end: bytes) -> Iterator[bytes]:
        nonlocal seen
        for key in scan(start, end):
            seen += 1
            yield key

    database.keys = counted  # type: ignore[method-assign]
    try:
        assert [each.due_at for each in partition.pop_due(1_004, 3)] == [1_000, 1_001, 1_002]
        assert [each.due_at for each in partition.pop_due(1_004, 3)] == [1_003, 1_004]
        assert partition.pop_due(1_004, 3) == []
    finally:
        del database.keys
    assert seen == 3 + 5  # those that were popped and are not committed yet are passed over
    assert partition.timers == 20_000
