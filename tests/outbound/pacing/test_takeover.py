"""Whoever takes a partition over breaks no rate, whatever its last owner has spent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import Journal
from sinks.outbound.lanes import Lanes
from sinks.outbound.pacing.day import Day
from sinks.outbound.pacing.rate import PACIFIC, Rates, SenderRate
from sinks.outbound.pacing.spending import Spending
from tests.outbound.examples import entry
from tests.outbound.pacing.examples import HOUR, T0, go, go_and_end, numbers, waiting


def spent(
    number: int, at: int, segments: int = 1, state: CommandResult = CommandResult.STARTED
) -> JournalEntry:
    return entry(f"n{number}:1", state, sender="+1", started_at=at, at=at, segments=segments)


def taken_over(rate: SenderRate, *entries: JournalEntry, at: int = T0) -> Lanes:
    journal = Journal()
    for each in entries:
        journal.record(each)
    lanes = Lanes(Rates(rate), ahead_ms=0)
    lanes.take_over(0, journal.spending, at)
    return lanes


def test_a_sender_begins_with_an_empty_bucket() -> None:
    lanes = taken_over(SenderRate(segments_per_s=2.0, burst=10.0))
    for number in range(5):
        lanes.add(waiting(number), T0)
    assert numbers(go(lanes, T0)) == []
    assert lanes.next_at() == T0 + 500
    assert numbers(go(lanes, T0 + 500)) == [0]


def test_the_bucket_fills_from_the_takeover_on_and_not_from_the_first_command() -> None:
    lanes = taken_over(SenderRate(segments_per_s=1.0, burst=3.0))
    for number in range(9):
        lanes.add(waiting(number), T0 + 2_000)
    assert numbers(go(lanes, T0 + 2_000)) == [0, 1]


def test_the_debt_of_a_long_text_is_taken_over() -> None:
    lanes = taken_over(SenderRate(segments_per_s=1.0, burst=1.0), spent(0, T0, segments=6))
    lanes.add(waiting(1), T0)
    assert go(lanes, T0) == []
    next_at = lanes.next_at()
    assert next_at is not None
    assert T0 + 5_900 <= next_at <= T0 + 6_000


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 5)), max_size=20),
    st.sampled_from([1.0, 5.0, 100.0]),
    st.sampled_from([1.0, 4.0, 20.0]),
)
def test_both_owners_together_stay_within_the_bucket(
    last_owners: list[tuple[int, int]], rate: float, burst: float
) -> None:
    """The last one as fast as it may; the new one begins where the journal ends."""
    settings = SenderRate(segments_per_s=rate, burst=burst)
    first = Lanes(Rates(settings), ahead_ms=0)
    first.take_over(0, Spending(), T0 - HOUR)
    went: list[tuple[int, int]] = []
    journal, now = Journal(), T0
    for number, (pause, segments) in enumerate(last_owners):
        now += pause
        first.add(waiting(number, segments=segments), now)
        for each in go_and_end(first, now):
            went.append((now, each.cost))
            journal.record(spent(each.offset, now, each.cost))
    second = Lanes(Rates(settings), ahead_ms=0)
    second.take_over(0, journal.spending, now)
    for number in range(30):
        second.add(waiting(1_000 + number), now)
    for later in range(now, now + 3_000, 5):
        went += [(later, each.cost) for each in go_and_end(second, later)]
    room = rate / 100
    depth, reach = max(burst, 1 + room), max(1.0, burst - room)
    for start in range(len(went)):
        total = 0
        for moment, cost in went[start:]:
            total += cost
            bound = depth + rate * (moment - went[start][0]) / 1000 + max(0.0, cost - reach)
            assert total <= bound + 1e-6


def test_what_was_spent_today_counts_against_the_cap() -> None:
    day = Day.around(T0, PACIFIC)
    rate = SenderRate(segments_per_s=100.0, burst=100.0, daily_segments=5)
    lanes = taken_over(rate, spent(0, day.start - 1, 5), spent(1, day.start, 2), spent(2, T0 - HOUR, 2))
    for number in range(3, 6):
        lanes.add(waiting(number), T0)
    assert numbers(go_and_end(lanes, T0 + HOUR)) == [3]
    assert numbers(go_and_end(lanes, day.end)) == [4, 5]


def test_a_command_counts_once_however_many_entries_it_has() -> None:
    rate = SenderRate(segments_per_s=100.0, burst=100.0, daily_segments=3)
    entries = [spent(0, T0 - 9, 2), spent(0, T0 - 9, 2, CommandResult.ACCEPTED)]
    lanes = taken_over(rate, *entries, *entries)
    lanes.add(waiting(3), T0)
    assert numbers(go_and_end(lanes, T0 + HOUR)) == [3]


def test_what_ended_without_a_call_does_not_count() -> None:
    rate = SenderRate(segments_per_s=100.0, burst=100.0, daily_segments=1)
    never = (CommandResult.EXPIRED, CommandResult.SUPPRESSED, CommandResult.CANCELED)
    lanes = taken_over(rate, *(spent(number, T0 - 9, 1, state) for number, state in enumerate(never)))
    lanes.add(waiting(3), T0)
    assert numbers(go_and_end(lanes, T0 + HOUR)) == [3]


@given(st.lists(st.tuples(st.integers(0, 48 * HOUR), st.integers(1, 9)), max_size=40), st.integers(0, 40))
def test_spending_is_summed_from_any_quarter_of_an_hour_of_the_last_day(
    entries: list[tuple[int, int]], quarters_back: int
) -> None:
    start = T0 // (HOUR // 4) * (HOUR // 4)
    spending, last = Spending(), start + 48 * HOUR
    spending.note(spent(0, last, 1))
    for number, (after, segments) in enumerate(entries):
        spending.note(spent(number + 1, start + after, segments))
    since = last - quarters_back * HOUR // 4
    assert spending.since("+1", since) == 1 + sum(cost for after, cost in entries if start + after >= since)
    assert spending.since("+2", since) == 0


def test_spending_keeps_sums_and_not_every_entry() -> None:
    spending = Spending()
    for number in range(5_000):
        spending.note(spent(number, T0 + number * 1_000))
    assert len(spending.lately("+1")) <= 121
    assert spending.since("+1", T0 // (HOUR // 4) * (HOUR // 4)) == 5_000


def test_after_a_partition_was_away_its_senders_begin_anew() -> None:
    lanes = taken_over(SenderRate(segments_per_s=1.0, burst=5.0), at=T0 - HOUR)
    lanes.add(waiting(0), T0)
    go_and_end(lanes, T0)
    lanes.drop(0)
    assert lanes.senders() == ()
    lanes.take_over(0, Spending(), T0 + HOUR)
    lanes.add(waiting(1), T0 + HOUR)
    assert numbers(go(lanes, T0 + HOUR)) == []
    assert numbers(go(lanes, T0 + HOUR + 1_000)) == [1]
