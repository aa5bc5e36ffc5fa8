"""The search that explains a key's rows: it finds the order that was, and nothing where there was none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import TimerTick
from schemas.topics import Topic
from streams.effects import Emit
from tests.streams.chaos import replay
from tests.streams.chaos.replay import Explained, Input, Stepped, Unexplained, explain

WORDS = st.lists(st.text("abc", max_size=4).map(list), min_size=1, max_size=4)


def said(letter: str) -> Emit:
    return Emit(Topic.TIMERS, letter, TimerTick(notification_id=letter, due_at=1, fired_at=1))


def step(row: str | None, given: Input[str]) -> Stepped[str]:
    """A row is the letters it was told, each of them once; whoever is told a new one says so."""
    before = row or ""
    if given.event in before:
        return Stepped(row, None, ())
    after = before + given.event
    return Stepped(after, after.encode(), (said(given.event),))


def fickle(row: str | None, given: Input[str]) -> Stepped[str]:
    """As `step`, but a letter that is told again after another one is taken down again."""
    before = row or ""
    if before.endswith(given.event):
        return Stepped(row, None, ())
    after = before + given.event
    return Stepped(after, after.encode(), (said(given.event),))


def queues(*words: str, at: int = 0) -> list[list[Input[str]]]:
    return [[Input(at, letter) for letter in word] for word in words]


def rows(word: str) -> list[bytes]:
    return [word[:length].encode() for length in range(1, len(word) + 1)]


def order(found: Explained[str, str] | Unexplained[str, str]) -> str:
    assert isinstance(found, Explained), found
    return "".join(each.event for each in found.order)


def test_the_order_between_topics_is_found_from_the_rows() -> None:
    assert order(explain(queues("ab", "cd"), rows("cadb"), step)) == "cadb"


def test_what_changes_nothing_is_read_wherever_it_may_be() -> None:
    assert sorted(order(explain(queues("aab", "ba"), rows("ab"), step))) == list("aaabb")


def test_among_orders_that_explain_the_same_rows_the_earliest_records_come_first() -> None:
    late, early = queues("a", at=2)[0], queues("a", at=1)[0]
    found = explain([late, early], rows("a"), step)
    assert isinstance(found, Explained)
    assert [each.at for each in found.order] == [1, 2]


@given(WORDS, st.randoms(use_true_random=False))
def test_every_order_that_was_is_explained_with_its_effects(
    words: list[list[str]], chance: random.Random
) -> None:
    waiting = [list(word) for word in words if word]
    row: str | None = None
    kept: list[bytes] = []
    effects: list[Emit] = []
    while waiting:
        word = chance.choice(waiting)
        made = step(row, Input(0, word.pop(0)))
        row = made.row
        waiting = [each for each in waiting if each]
        effects += made.effects
        # What is changed again in the same transaction is not written.
        if kept and made.value is not None and chance.random() < 0.5:
            kept.pop()
        kept += [made.value] if made.value is not None else []
    found = explain(queues(*map("".join, words)), kept, step)
    assert isinstance(found, Explained)
    assert list(found.effects) == effects


@pytest.mark.parametrize(
    ("kept", "explained"),
    [
        pytest.param("ba", 0, id="an order against that of the topic"),
        pytest.param("a", 1, id="an input that was never read"),
        pytest.param("abc", 2, id="a row of nobody's making"),
    ],
)
def test_rows_that_no_order_makes_are_told(kept: str, explained: int) -> None:
    found = explain(queues("ab"), rows(kept), step)
    assert isinstance(found, Unexplained)
    assert found.explained == explained


def test_a_row_that_was_changed_again_within_its_transaction_need_not_be_there() -> None:
    assert order(explain(queues("ab", "cd"), [b"ca", b"cadb"], step)) == "cadb"


def test_the_last_row_must_be_there() -> None:
    assert isinstance(explain(queues("abc"), rows("ab"), step), Unexplained)


def test_an_order_whose_effects_were_never_written_is_none() -> None:
    def unless_b_comes_first(row: str | None, given: Input[str]) -> Stepped[str]:
        made = step(row, given)
        return made._replace(possible=made.value != b"b")

    assert order(explain(queues("b", "a"), [b"ab"], unless_b_comes_first)) == "ab"


def test_a_row_that_was_lost_between_two_others_is_told() -> None:
    assert isinstance(explain(queues("abc"), [b"a", b"ac"], step), Unexplained)


def test_an_input_that_is_read_again_with_a_result_is_explained_only_where_that_may_be() -> None:
    assert isinstance(explain(queues("ab"), rows("aba"), fickle), Unexplained)
    found = explain(queues("ab"), rows("aba"), fickle, again=1)
    assert isinstance(found, Explained)
    assert found.again == 1


def test_a_search_without_an_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST_STEPS", 10)
    with pytest.raises(OverflowError):
        explain(queues("aaaa", "aaaa", "aaaa"), rows("ab"), step)


def asking(row: str | None, given: Input[str]) -> Stepped[str]:
    """A row is the letters it was told, in no order; the deadline t asks, unless the news n has come."""
    before = row or ""
    after = "".join(sorted(before + given.event))
    asks = given.event == "t" and "n" not in before
    return Stepped(after, after.encode(), (said("asked"),) if asks else ())


@pytest.mark.parametrize("asked", [True, False])
def test_among_orders_that_leave_the_same_row_the_one_is_found_whose_effects_are_there(asked: bool) -> None:
    """Both were read in one transaction, which left one row."""
    found = explain(queues("n", "t"), [b"nt"], asking, covers=lambda effects: bool(effects) is asked)
    assert order(found) == ("tn" if asked else "nt")
