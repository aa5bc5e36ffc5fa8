"""What is due to be asked, and from when on an answer stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.carriers.lines import (
    EARLIEST_MS,
    FIRST_STANDS_BACK_MS,
    Attribution,
    Due,
    Line,
    Observation,
    Seen,
    attributed,
    due,
    first_requests,
    observed,
)
from tests.analytics import examples

LINE = Line("Telekom", "262", "01", "mobile", "DE", 0)
DAY = 86_400_000
NOW = 1_800_000_000_000
NUMBER, HASH = "+4915123456789", "ab" * 16


def _before(checked_at: int) -> Observation:
    return Observation(HASH, checked_at, checked_at, LINE)


def _seen(requested_at: int, tenant: str = "acme") -> Seen:
    request = examples.request("n", recipient=NUMBER, tenant=tenant, requested_at=requested_at)
    return Seen.of(request, NOW)


def test_a_number_is_asked_once_however_often_it_is_written_to() -> None:
    seen = [_seen(NOW), _seen(NOW - 5, "other"), _seen(NOW + 5)]
    assert first_requests(seen) == {NUMBER: NOW - 5}


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_request_is_of_the_future_or_of_a_time_no_column_holds(requested_at: int) -> None:
    assert EARLIEST_MS <= _seen(requested_at).at <= NOW


def test_a_possible_time_stays() -> None:
    hour = NOW // 3_600_000 * 3600
    assert _seen(NOW + 1) == Seen(NUMBER, "acme", examples.nid("n"), NOW, NOW + 1, hour)


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


def _stood(valid_from: int, carrier: str, error_code: int = 0, checked_at: int = NOW) -> Observation:
    line = Line(carrier, "262", "01", "mobile", "DE", error_code)
    return Observation(HASH, valid_from, checked_at, line)


def _carriers(seen: Seen, *history: Observation) -> list[str]:
    return [one.line.carrier for one in attributed([seen], {NUMBER: HASH}, history)]


def test_a_notification_gets_what_stood_when_it_was_requested() -> None:
    history = (_stood(NOW - 10, "O2"), _stood(NOW - 5, "Telekom"), _stood(NOW - 2, "Vodafone"))
    at = _seen(NOW - 5)
    assert attributed([at], {NUMBER: HASH}, history) == (
        Attribution(at.hour, examples.nid("n"), NOW - 5, NOW - 5, history[1].line),
    )
    assert _carriers(_seen(NOW - 6), *history) == ["O2"]
    assert _carriers(_seen(NOW), *history) == ["Vodafone"]


def test_a_notification_before_all_that_is_known_gets_nothing() -> None:
    assert _carriers(_seen(NOW - 11), _stood(NOW - 10, "O2")) == []


def test_a_failed_look_up_says_nothing_against_an_older_one() -> None:
    assert _carriers(_seen(NOW), _stood(NOW - 10, "O2"), _stood(NOW - 5, "", error_code=60600)) == ["O2"]


def test_of_two_answers_from_the_same_moment_on_the_later_one_stands() -> None:
    both = (_stood(NOW - 5, "O2", checked_at=NOW), _stood(NOW - 5, "Telekom", checked_at=NOW - 1))
    assert _carriers(_seen(NOW), *both) == ["O2"]


def test_an_hour_no_table_holds_is_left_out() -> None:
    history = _stood(EARLIEST_MS - 1, "O2")
    assert [len(_carriers(_seen(time), history)) for time in (-1, 2**62, NOW)] == [0, 0, 1]
