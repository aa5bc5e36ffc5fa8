"""What may be committed: everything below it is done, and nothing that is done is read again without need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.outbound.offsets import Offsets


@given(st.data())
def test_the_position_is_the_first_offset_that_is_not_done(data: st.DataObject) -> None:
    read = sorted(data.draw(st.sets(st.integers(0, 500), max_size=40)))
    offsets, added, finished = Offsets(), list[int](), set[int]()
    for _ in range(3 * len(read)):
        open_ones = [offset for offset in added if offset not in finished]
        if len(added) < len(read) and (not open_ones or data.draw(st.booleans())):
            offset = read[len(added)]
            offsets.add(offset)
            added.append(offset)
        elif open_ones:
            offset = data.draw(st.sampled_from(open_ones))
            offsets.done(offset)
            finished.add(offset)
        if data.draw(st.booleans()):
            waiting = [offset for offset in added if offset not in finished]
            expected = waiting[0] if waiting else added[-1] + 1 if added else None
            assert offsets.position() == expected


@given(st.permutations(range(12)))
def test_however_they_end_the_position_ends_behind_the_last(ends: list[int]) -> None:
    offsets = Offsets()
    for offset in range(12):
        offsets.add(offset)
    positions = []
    for offset in ends:
        offsets.done(offset)
        positions.append(offsets.position())
    assert positions[-1] == 12
    assert positions == sorted(positions, key=lambda position: position or 0)


def test_nothing_read_is_nothing_to_commit() -> None:
    assert Offsets().position() is None


def test_its_length_is_what_is_not_yet_passed() -> None:
    offsets = Offsets()
    for offset in (5, 9, 10):
        offsets.add(offset)
    offsets.done(9)
    offsets.position()
    assert len(offsets) == 3
    offsets.done(5)
    offsets.position()
    assert len(offsets) == 1


def test_what_is_committed_already_stays_the_position_until_something_is_read() -> None:
    offsets = Offsets(7)
    assert offsets.position() == 7
    offsets.add(9)
    assert offsets.position() == 9
    offsets.done(9)
    assert offsets.position() == 10
