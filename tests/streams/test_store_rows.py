"""A row's bytes stand still: they are in changelogs that outlive every release."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.store.errors import RowUnreadable
from streams.store.rows import RowCodec, deadline_of


class Row(msgspec.Struct, frozen=True, array_like=True):
    name: str
    due_at: int | None = None


class NewerRow(msgspec.Struct, frozen=True, array_like=True):
    name: str
    due_at: int | None = None
    colour: str = "none"


CODEC = RowCodec(Row, lambda row: row.due_at)
NEWER = RowCodec(NewerRow, lambda row: row.due_at)
GOLDEN = bytes.fromhex("01000001a0c4d3b60092a161cf000001a0c4d3b600")


def test_a_row_is_its_version_its_deadline_and_its_fields_in_order() -> None:
    row = Row("a", 0x01A0C4D3B600)
    assert CODEC.encode(row) == GOLDEN
    assert CODEC.decode(GOLDEN) == row


@given(st.text(), st.none() | st.integers(1, 2**63))
def test_every_row_comes_back_and_its_deadline_is_told_without_reading_it(
    name: str, due_at: int | None
) -> None:
    value = CODEC.encode(Row(name, due_at))
    assert CODEC.decode(value) == Row(name, due_at)
    assert deadline_of(value) == due_at


def test_a_row_of_before_a_field_was_added_has_its_default() -> None:
    assert NEWER.decode(CODEC.encode(Row("a", 7))) == NewerRow("a", 7, "none")


def test_a_row_of_after_a_field_was_added_is_still_read() -> None:
    assert CODEC.decode(NEWER.encode(NewerRow("a", 7, "red"))) == Row("a", 7)


def test_a_row_of_another_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(RowUnreadable, match="another release"):
        CODEC.decode(b"\x02" + GOLDEN[1:])
    with pytest.raises(RowUnreadable):
        deadline_of(b"\x02" + GOLDEN[1:])


@pytest.mark.parametrize("value", [GOLDEN[:-1], GOLDEN[:9] + b"\xc0", GOLDEN[:9]])
def test_bytes_that_are_no_row_are_refused(value: bytes) -> None:
    with pytest.raises(RowUnreadable, match="no Row"):
        CODEC.decode(value)


def test_bytes_too_short_for_a_deadline_are_refused() -> None:
    with pytest.raises(RowUnreadable):
        deadline_of(GOLDEN[:8])
