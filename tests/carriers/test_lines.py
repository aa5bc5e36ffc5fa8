"""What is due to be asked, and from when on an answer stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.carriers.lines import (
    EARLIEST_MS,
    FIRST_STANDS_BACK_MS,
    Due,
    Line,
    Observation,
    Seen,
    due,
    first_requests,
    observed,
)

LINE = Line("Telekom", "262", "01", "mobile", "DE", 0)
DAY = 86_400_000
NOW = 1_800_000_000_000
NUMBER, HASH = "+4915123456789", "ab" * 16


def _before(checked_at: int) -> Observation:
    return Observation(HASH, checked_at, checked_at, LINE)


def test_a_number_is_asked_once_however_often_it_is_written_to() -> None:
    seen = [Seen(NUMBER, "acme", NOW), Seen(NUMBER, "other", NOW - 5), Seen(NUMBER, "acme", NOW + 5)]
    assert first_requests(seen) == {NUMBER: NOW - 5}


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_request_is_of_the_future_or_of_a_time_no_column_holds(requested_at: int) -> None:
    assert EARLIEST_MS <= Seen.of(NUMBER, "acme", requested_at, NOW).at <= NOW


def test_a_possible_time_stays() -> None:
    assert Seen.of(NUMBER, "acme", NOW - 5, NOW) == Seen(NUMBER, "acme", NOW - 5)


def test_an_unknown_number_is_due_and_a_known_one_is_not() -> None:
    (asked,) = due({NUMBER: NOW}, {NUMBER: HASH}, {}, NOW, 90 * DAY)
    assert asked == Due(NUMBER, HASH, NOW, None)
    assert due({NUMBER: NOW}, {NUMBER: HASH}, {HASH: _before(NOW - 89 * DAY)}, NOW, 90 * DAY) == ()


def test_a_number_is_due_again_at_its_age() -> None:
    before = _before(NOW - 90 * DAY)
    assert due({NUMBER: NOW}, {NUMBER: HASH}, {HASH: before}, NOW, 90 * DAY) == (
        Due(NUMBER, HASH, NOW, before),
    )


def test_the_oldest_request_is_asked_about_first() -> None:
    first = {"+1": NOW, "+2": NOW - 1, "+3": NOW - 2}
    asked = due(first, {number: number for number in first}, {}, NOW, DAY)
    assert [one.number for one in asked] == ["+3", "+2", "+1"]


def test_the_first_answer_also_stands_for_requests_shortly_before() -> None:
    row = observed(Due(NUMBER, HASH, NOW - 1000, None), LINE, NOW)
    assert row == Observation(HASH, NOW - 1000 - FIRST_STANDS_BACK_MS, NOW, LINE)


def test_a_later_answer_stands_from_the_request_that_caused_it() -> None:
    row = observed(Due(NUMBER, HASH, NOW - 1000, _before(NOW - DAY)), LINE, NOW)
    assert row.valid_from == NOW - 1000


@given(checked=st.integers(0, NOW), at=st.integers(0, NOW))
def test_what_stood_before_the_last_answer_is_never_overruled(checked: int, at: int) -> None:
    row = observed(Due(NUMBER, HASH, at, _before(checked)), LINE, NOW + 1)
    assert row.valid_from > checked
