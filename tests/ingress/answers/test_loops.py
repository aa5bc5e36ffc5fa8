"""Machines that answer each other: silence comes soon, and people are answered all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.accepted import Reply
from ingress.answers.decide import Answers, Section, decide
from ingress.answers.guard import Limit, LoopGuard
from ingress.answers.keywords import keyword
from tests.ingress.answers.messages import NOW, PERSON, message

LIMIT = Limit(replies=3, window_s=60)
ANSWERS = Answers(
    default=Section(otherwise="We got it.", limit=LIMIT, keywords={"ack": keyword("ACK [id]", "Thanks")})
)


def replies(guard: LoopGuard, *written: tuple[str, int], who: str = PERSON) -> list[Reply]:
    return [decide(message(body, at=at, recipient=who), ANSWERS, guard).reply for body, at in written]


def test_no_more_than_so_many_answers_in_the_window() -> None:
    found = replies(LoopGuard(), *((f"message {number}", NOW + number) for number in range(5)))
    assert found == [Reply.DEFAULT] * 3 + [Reply.LOOP_LIMIT] * 2


def test_the_window_moves_on() -> None:
    guard = LoopGuard()
    replies(guard, ("a", NOW), ("b", NOW + 30_000), ("c", NOW + 59_000))
    assert replies(guard, ("d", NOW + 59_999), ("e", NOW + 60_000)) == [Reply.LOOP_LIMIT, Reply.DEFAULT]


def test_a_limit_reached_by_one_person_holds_for_nobody_else() -> None:
    guard = LoopGuard()
    replies(guard, *((f"message {number}", NOW) for number in range(5)))
    assert replies(guard, ("hello", NOW), who="+14155550124") == [Reply.DEFAULT]


def test_a_keyword_beyond_the_limit_is_still_an_event() -> None:
    guard = LoopGuard()
    replies(guard, *((f"message {number}", NOW) for number in range(3)))
    found = decide(message("ack 17"), ANSWERS, guard)
    assert (found.reply, found.text, found.keyword is None) == (Reply.LOOP_LIMIT, None, False)


@pytest.mark.parametrize("echo", ["We got it.", "we got it", " WE GOT IT! "])
def test_our_own_words_are_not_answered(echo: str) -> None:
    assert replies(LoopGuard(), ("hello", NOW), (echo, NOW + 1)) == [Reply.DEFAULT, Reply.LOOP_ECHO]


def test_a_person_may_say_the_same_twice() -> None:
    assert replies(LoopGuard(), ("hello", NOW), ("hello", NOW + 1)) == [Reply.DEFAULT] * 2


@pytest.mark.parametrize("machine", ["72345", "ACMEBANK"])
def test_a_short_code_or_a_name_that_repeats_itself_is_not_answered_again(machine: str) -> None:
    found = replies(
        LoopGuard(), ("Thank you!", NOW), ("thank you", NOW + 1), ("Thank you", NOW + 2), who=machine
    )
    assert found == [Reply.DEFAULT, Reply.LOOP_MACHINE, Reply.LOOP_MACHINE]


def test_a_copy_of_an_answered_message_gets_the_answer_again_and_counts_once() -> None:
    guard = LoopGuard()
    copies = [decide(message("hi", sid="SM" + "a" * 32, at=NOW + n), ANSWERS, guard) for n in range(5)]
    assert {(found.text, found.reply) for found in copies} == {("We got it.", Reply.DEFAULT)}
    assert replies(guard, ("b", NOW), ("c", NOW), ("d", NOW)) == [Reply.DEFAULT] * 2 + [Reply.LOOP_LIMIT]


def test_an_answer_without_words_is_known_when_it_comes_back() -> None:
    thumbs = Answers(default=Section(otherwise="👍"))
    guard = LoopGuard()
    assert decide(message("hello"), thumbs, guard).reply is Reply.DEFAULT
    assert decide(message("👍"), thumbs, guard).reply is Reply.LOOP_ECHO
    assert decide(message("👎"), thumbs, guard).reply is Reply.DEFAULT


def test_the_memory_is_bounded_and_forgets_the_least_recent_first() -> None:
    guard = LoopGuard(most=10)
    for number in range(100):
        replies(guard, ("hello", NOW), who=f"+1415555{number:04}")
    assert len(guard) == 10
    assert replies(guard, ("We got it.", NOW), who="+14155550099") == [Reply.LOOP_ECHO]
    assert replies(guard, ("We got it.", NOW), who="+14155550000") == [Reply.DEFAULT]


def test_people_who_are_not_answered_take_no_memory() -> None:
    guard = LoopGuard()
    for number in range(100):
        decide(message("hello", recipient=f"+1415555{number:04}"), Answers(), guard)
    assert len(guard) == 0


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "ack 1", "We got it."]), st.integers(0, 200_000))))
def test_in_no_window_are_there_more_answers_than_allowed(written: list[tuple[str, int]]) -> None:
    guard = LoopGuard()
    answered: list[int] = []
    for body, at in sorted(written, key=lambda each: each[1]):
        if decide(message(body, at=NOW + at), ANSWERS, guard).text is not None:
            answered.append(at)
    for start in answered:
        assert sum(start <= at < start + LIMIT.window_s * 1000 for at in answered) <= LIMIT.replies


def test_two_pipelines_that_answer_each_other_fall_silent() -> None:
    ours, theirs = LoopGuard(), LoopGuard()
    other = Answers(default=Section(otherwise="This number is not read.", limit=LIMIT))
    text, turns = "hello", 0
    while turns < 100:
        answer = decide(message(text, at=NOW + turns), *((ANSWERS, ours) if turns % 2 else (other, theirs)))
        if answer.text is None:
            break
        text, turns = answer.text, turns + 1
    assert turns <= 2 * LIMIT.replies
