"""One truth per message, whatever order its statuses come in (design, section 4)."""

from __future__ import annotations

from functools import reduce
from itertools import chain, combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.fold import BAD_ENDS, GOOD_ENDS, KNOWN, StatusMark, add_mark, first_seen, fold

PROGRESS = ["accepted", "scheduled", "queued", "sending", "sent"]
Marks = tuple[StatusMark, ...]

marks = st.lists(
    st.builds(
        StatusMark,
        status=st.sampled_from(sorted(KNOWN)),
        at=st.integers(0, 6),
        error_code=st.one_of(st.none(), st.sampled_from([30003, 30007, 30008])),
    ),
    max_size=12,
)


def mark(status: str, at: int = 0, error_code: int | None = None) -> StatusMark:
    return StatusMark(status=status, at=at, error_code=error_code)


def kept(seen: list[StatusMark]) -> Marks:
    return reduce(add_mark, seen, ())


def merged(one: Marks, other: Marks) -> Marks:
    return reduce(add_mark, other, one)


def truth(*seen: StatusMark) -> tuple[str | None, int | None]:
    folded = fold(kept(list(seen)))
    return folded.status, folded.error_code


@given(marks, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_truth(seen: list[StatusMark], random: object) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kept(shuffled) == kept(seen)
    assert fold(kept(shuffled)) == fold(kept(seen))


@given(marks, st.data())
def test_copies_change_nothing(seen: list[StatusMark], data: st.DataObject) -> None:
    copies = data.draw(st.lists(st.sampled_from(seen), max_size=6)) if seen else []
    assert kept([*seen, *copies]) == kept(seen)


@given(marks, marks, marks)
def test_parts_may_be_folded_in_any_grouping(
    one: list[StatusMark], two: list[StatusMark], three: list[StatusMark]
) -> None:
    a, b, c = kept(one), kept(two), kept(three)
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == kept([*one, *two, *three])


@given(marks)
def test_what_is_kept_is_one_mark_per_status_however_many_come(seen: list[StatusMark]) -> None:
    assert sorted(m.status for m in kept(seen)) == sorted({m.status for m in seen})


@given(marks)
def test_an_error_code_is_told_only_of_a_bad_end(seen: list[StatusMark]) -> None:
    folded = fold(kept(seen))
    assert folded.error_code is None or folded.status in BAD_ENDS


@given(marks)
def test_an_end_once_seen_is_never_told_as_progress(seen: list[StatusMark]) -> None:
    ends = {m.status for m in seen} & (BAD_ENDS | GOOD_ENDS)
    assert fold(kept(seen)).ended == bool(ends)


@given(marks)
def test_what_is_told_was_seen(seen: list[StatusMark]) -> None:
    statuses: set[str | None] = {m.status for m in seen}
    assert fold(kept(seen)).status in (statuses or {None})


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(PROGRESS)))
def test_a_higher_rank_of_progress_wins_even_when_it_came_first(lower: str, higher: str) -> None:
    assert truth(mark(higher, 1), mark(lower, 2)) == (higher, None)


@pytest.mark.parametrize("end", sorted(BAD_ENDS | GOOD_ENDS))
@pytest.mark.parametrize("progress", PROGRESS)
def test_a_late_progress_never_overwrites_an_end(end: str, progress: str) -> None:
    assert truth(mark(end, 1), mark(progress, 9))[0] == end


def test_a_late_sent_never_overwrites_delivered() -> None:
    assert truth(mark("delivered", 1), mark("sent", 2)) == ("delivered", None)


def test_a_good_end_beats_a_bad_one_when_it_is_later() -> None:
    assert truth(mark("undelivered", 1, 30003), mark("delivered", 2)) == ("delivered", None)


def test_a_bad_end_stands_when_the_good_one_was_before_it() -> None:
    assert truth(mark("delivered", 1), mark("undelivered", 2, 30003)) == ("undelivered", 30003)


def test_of_a_good_and_a_bad_end_at_the_same_time_the_good_one_stands() -> None:
    assert truth(mark("undelivered", 1, 30003), mark("delivered", 1)) == ("delivered", None)


def test_both_ends_stay_in_the_history() -> None:
    history = kept([mark("undelivered", 1, 30003), mark("delivered", 2)])
    assert [m.status for m in history] == ["undelivered", "delivered"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_read_beats_delivered(at: int) -> None:
    assert truth(mark("delivered", 2), mark("read", at)) == ("read", None)


def test_of_two_bad_ends_the_first_is_the_cause() -> None:
    assert truth(mark("failed", 2, 30008), mark("undelivered", 1, 30003)) == ("undelivered", 30003)


def test_the_first_sight_of_a_status_counts() -> None:
    assert first_seen(kept([mark("sent", 7), mark("sent", 3), mark("sent", 5)]), "sent") == 3


def test_a_status_not_seen_has_no_time() -> None:
    assert first_seen(kept([mark("sent", 7)]), "delivered") is None


def test_nothing_seen_is_no_status() -> None:
    assert fold(()) == (None, None, None)


# -- every set of statuses ----------------------------------------------------------------------------------

STATUSES = sorted(KNOWN)
ALL_SETS = [each for size in range(len(STATUSES) + 1) for each in combinations(STATUSES, size)]
SMALL_SETS = [each for size in range(1, 5) for each in combinations(STATUSES, size)]
# Written down from the design, section 4, not from the code.
RANKS = ("accepted", "scheduled", "queued", "sending", "partially_delivered", "sent")


def said_by_the_design(seen: dict[str, int]) -> str | None:
    """The status that these first sights (by status, the time of each) amount to."""
    good = {status: at for status, at in seen.items() if status in ("delivered", "read")}
    bad = {status: at for status, at in seen.items() if status in ("undelivered", "failed", "canceled")}
    if good and (not bad or max(good.values()) >= min(bad.values())):
        return "read" if "read" in good else "delivered"
    if bad:
        return min(bad, key=lambda status: (bad[status], status))
    return max(seen, key=RANKS.index, default=None)


@pytest.mark.parametrize("direction", [1, -1, 0], ids=["rising", "falling", "at once"])
def test_every_set_of_statuses_amounts_to_what_the_design_says(direction: int) -> None:
    for names in ALL_SETS:
        seen = {name: direction * place for place, name in enumerate(names)}
        folded = fold(kept([mark(name, at) for name, at in seen.items()]))
        assert folded.status == said_by_the_design(seen), seen


def test_every_set_of_up_to_four_statuses_amounts_to_what_the_design_says_at_all_times() -> None:
    for names in chain.from_iterable(permutations(each) for each in SMALL_SETS):
        seen = {name: at for at, name in enumerate(names)}
        assert fold(kept([mark(name, at) for name, at in seen.items()])).status == said_by_the_design(seen)


def test_every_order_of_up_to_four_statuses_at_all_times_gives_the_same_marks() -> None:
    for names in SMALL_SETS:
        # By symmetry of the orders it is enough to let the times run through all permutations.
        for times in permutations(range(len(names))):
            seen = [mark(name, at, 30003) for name, at in zip(names, times, strict=True)]
            expected = tuple(sorted(seen, key=lambda each: each.at))
            assert kept(seen) == kept(seen[::-1]) == expected


@pytest.mark.parametrize("times", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 0, 0, 0), (1, 0, 1, 0)], ids=str)
def test_every_order_of_arrival_of_up_to_four_statuses_gives_the_same_marks(times: tuple[int, ...]) -> None:
    for names in SMALL_SETS:
        seen = [mark(name, at) for name, at in zip(names, times, strict=False)]
        orders = {kept(list(order)) for order in permutations(seen)}
        assert len(orders) == 1, orders


def test_copies_in_any_place_and_later_sights_change_nothing_of_up_to_four_statuses() -> None:
    for names in SMALL_SETS:
        seen = [mark(name, at) for at, name in enumerate(names)]
        later = [mark(each.status, each.at + 10, 30005) for each in seen]
        once = kept(seen)
        doubled = [copy for each in seen for copy in (each, each)]
        for order in (seen + seen, seen + seen[::-1], doubled, later + seen, seen + later):
            assert kept(order) == once


def test_every_split_of_up_to_four_statuses_may_be_merged_from_either_side() -> None:
    for names in SMALL_SETS:
        seen = [mark(name, at) for at, name in enumerate(names)]
        whole = kept(seen)
        for size in range(len(seen) + 1):
            for part in combinations(seen, size):
                one, other = kept(list(part)), kept([each for each in seen if each not in part])
                assert merged(one, other) == merged(other, one) == merged(whole, one) == whole


@pytest.mark.parametrize("good", sorted(GOOD_ENDS))
@pytest.mark.parametrize("bad", sorted(BAD_ENDS))
@pytest.mark.parametrize(("bad_at", "stands"), [(4, "good"), (5, "good"), (6, "bad")])
def test_of_each_good_and_bad_end_the_later_stands_and_at_once_the_good_one(
    good: str, bad: str, bad_at: int, stands: str
) -> None:
    assert truth(mark(bad, bad_at, 30003), mark(good, 5)) == (
        (good, None) if stands == "good" else (bad, 30003)
    )


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_alone_is_the_truth_and_only_a_bad_end_keeps_its_code(status: str) -> None:
    assert truth(mark(status, 1, 30008)) == (status, 30008 if status in BAD_ENDS else None)


def test_a_code_that_a_later_sight_of_the_same_end_brings_does_not_replace_the_first() -> None:
    assert truth(mark("failed", 1, 30008), mark("failed", 2, 30003)) == ("failed", 30008)


def test_a_stale_code_on_the_way_is_not_that_of_the_end() -> None:
    assert truth(mark("sent", 1, 30003), mark("undelivered", 2, 30007)) == ("undelivered", 30007)


def test_every_status_of_the_providers_is_known() -> None:
    assert set(STATUSES) == {*RANKS, *BAD_ENDS, *GOOD_ENDS}
    assert set(PROGRESS) < set(RANKS)
