"""What is read of a segment is what was written: after any cut, any flipped bit, any rubbish."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingress.journal.entries import Entry
from ingress.journal.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    MARKER_BYTES,
    Scan,
    UnknownVersion,
    encode,
    frame,
    header,
    scan,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.builds(
    Entry,
    topic=texts,
    key=texts,
    value=st.binary(max_size=60),
    received_at=st.integers(-(2**63), 2**63 - 1),
)
markers = st.binary(min_size=MARKER_BYTES, max_size=MARKER_BYTES)
ENTRY = Entry("twilio.status", "key", b"value", 1)
MARKER = b"\x91\xf3random"


def segment(marker: bytes, written: list[Entry]) -> bytes:
    return header(marker) + b"".join(frame(marker, encode(one)) for one in written)


def ends(marker: bytes, written: list[Entry]) -> list[int]:
    """Where each entry ends in its segment."""
    return [len(segment(marker, written[: count + 1])) for count in range(len(written))]


def read(found: Scan) -> list[Entry]:
    return [one.entry for one in found.found]


@given(markers, st.lists(entries, max_size=6))
def test_what_was_written_is_read(marker: bytes, written: list[Entry]) -> None:
    data = segment(marker, written)
    found = scan(data)
    assert read(found) == written
    assert [one.end for one in found.found] == ends(marker, written)
    assert (found.marker, found.damaged, found.end) == (marker, (), len(data))


@given(markers, st.lists(entries, max_size=6), st.data())
def test_a_cut_anywhere_leaves_exactly_the_whole_entries_before_it(
    marker: bytes, written: list[Entry], data: st.DataObject
) -> None:
    whole = segment(marker, written)
    cut = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:cut])
    assert read(found) == [one for one, end in zip(written, ends(marker, written), strict=True) if end <= cut]
    assert found.damaged == ()


@given(markers, st.lists(entries, min_size=1, max_size=4), st.integers(1, 100), st.data())
def test_zeros_for_what_never_reached_the_disk_are_a_torn_tail(
    marker: bytes, written: list[Entry], zeros: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(written)))
    found = scan(segment(marker, written[:count]) + bytes(zeros))
    assert read(found) == written[:count]
    assert found.damaged == ()


@given(markers, st.lists(entries, min_size=1, max_size=6), st.data())
def test_a_flipped_bit_costs_at_most_its_own_entry_and_is_never_taken_for_a_torn_tail(
    marker: bytes, written: list[Entry], data: st.DataObject
) -> None:
    whole = segment(marker, written)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    found = scan(bytes(flipped))
    hit = [index for index, end in enumerate(ends(marker, written)) if bit // 8 < end][:1]
    spared = written if bit // 8 < HEADER_BYTES else [e for i, e in enumerate(written) if i not in hit]
    assert read(found) == spared
    assert found.damaged
    assert found.end == len(whole)


@given(markers, st.lists(entries, max_size=5), st.data())
def test_rubbish_written_over_some_bytes_never_yields_an_entry_that_was_not_written(
    marker: bytes, written: list[Entry], data: st.DataObject
) -> None:
    whole = segment(marker, written)
    begin = data.draw(st.integers(0, len(whole)))
    rubbish = data.draw(st.binary(max_size=50))
    found = read(scan(whole[:begin] + rubbish + whole[begin + len(rubbish) :]))
    remaining = iter(written)
    assert all(one in remaining for one in found)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_segment_hold_nothing(data: bytes) -> None:
    assert scan(data).found == ()


@given(markers, markers, entries)
def test_an_entry_of_another_segment_within_a_value_never_comes_out_after_damage(
    marker: bytes, other: bytes, smuggled: Entry
) -> None:
    assume(marker != other)
    carrier = Entry("t", "k", frame(other, encode(smuggled)), 1)
    whole = bytearray(segment(marker, [carrier, ENTRY]))
    whole[HEADER_BYTES] ^= 0xFF
    assert read(scan(bytes(whole))) == [ENTRY]


def test_damage_is_named_with_its_place() -> None:
    first, second, _ = ends(MARKER, [ENTRY] * 3)
    whole = bytearray(segment(MARKER, [ENTRY] * 3))
    whole[second - 1] ^= 1
    assert scan(bytes(whole)).damaged == ((first, second),)


def test_two_damaged_entries_side_by_side_are_one_stretch() -> None:
    first, second, third, _ = ends(MARKER, [ENTRY] * 4)
    whole = bytearray(segment(MARKER, [ENTRY] * 4))
    whole[first] ^= 1
    whole[second] ^= 1
    assert scan(bytes(whole)).damaged == ((first, third),)


def test_a_segment_of_a_later_version_is_refused_rather_than_called_damaged() -> None:
    head = struct.pack(">8sH8s", b"nsjournl", 2, MARKER)
    with pytest.raises(UnknownVersion, match="version 2"):
        scan(head + struct.pack(">I", zlib.crc32(head)))


def test_the_bytes_of_version_1_do_not_change() -> None:
    # Files outlive an upgrade: change this only together with the version.
    whole = segment(b"\x00\x01\x02\x03\x04\x05\x06\x07", [Entry("t", "k", b"v", 258)])
    assert whole.hex() == (
        "6e736a6f75726e6c00010001020304050607a0ad3d0d"  # header
        "000102030405060700000013b196aad9f3244f67"  # frame
        "00000000000001020000000100000001"
        "746b76"
    )


def test_an_entry_costs_twenty_bytes_more_than_its_body() -> None:
    assert len(frame(MARKER, encode(ENTRY))) == FRAME_BYTES + len(encode(ENTRY)) == 20 + len(encode(ENTRY))


def test_an_entry_shows_neither_its_key_nor_its_value() -> None:
    shown = repr(Entry("twilio.inbound", "+14155550123", b"secret", 5))
    assert "twilio.inbound" in shown
    assert "4155550123" not in shown
    assert "secret" not in shown
