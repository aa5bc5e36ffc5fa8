"""Patterns, templates and the form in which words are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.answers.keywords import LONGEST_ARGUMENT, BadPattern, keyword, match
from ingress.answers.words import first_word, fold


def argument(pattern: str, text: str) -> str | None:
    """What a pattern finds in a text: its argument, empty for none, or None when it does not match."""
    made = keyword(pattern, None)
    found = match(text, {made.folded: made})
    return None if found is None else found.argument or ""


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("PING", "ping", ""),
        ("PING", "Ping!", ""),
        ("PING", "ping 👍", ""),
        ("PING", "ping me", None),
        ("STATUS <id>", "STATUS 17", "17"),
        ("STATUS <id>", "STATUS of: +14155550123!", "of"),
        ("STATUS <id>", "STATUS +14155550123!", "+14155550123"),
        ("STATUS <id>", "STATUS", None),
        ("STATUS <id>", "STATUS ...", None),
        ("STATUS <id>", "status-17", "17"),
        ("STATUS <id>", "STATUS: #INC-17.", "INC-17"),
        ("STATUS <id>", "\n status\n17\n", "17"),
        ("STATUS <id>", "status 17 please", "17"),
        ("STATUS <id>", "status17", None),
        ("STATUS <id>", "the status 17", None),
        ("ACK [id]", "ack", ""),
        ("ACK [id]", "(ack)", ""),
        ("ACK [id]", "ack 17", "17"),
        ("NOTE <text...>", "note:  call   them back!", "call them back"),
        ("NOTE <text...>", "note", None),
        ("NOTE [text...]", "note", ""),
        ("प्रणाम <id>", "प्रणाम 17", "17"),
        ("ДА", "да!", ""),
        ("はい", "はい。", ""),
    ],
)
def test_a_pattern_finds_its_keyword_and_argument(pattern: str, text: str, found: str | None) -> None:
    assert argument(pattern, text) == found


def test_an_argument_keeps_its_case_and_accents_and_loses_its_width() -> None:
    assert argument("ACK <id>", "ack Ｉnc-É17") == "Inc-É17"


def test_an_argument_that_is_a_whole_message_is_none() -> None:
    assert argument("ACK <id>", "ack " + "1" * LONGEST_ARGUMENT) == "1" * LONGEST_ARGUMENT
    assert argument("ACK <id>", "ack " + "1" * (LONGEST_ARGUMENT + 1)) is None


def test_what_cannot_be_seen_is_not_in_an_argument() -> None:
    assert argument("ACK <id>", "ack 1\u200b7\x00\x1b") == "17"


@pytest.mark.parametrize("pattern", ["", "<id>", "TWO WORDS", "A <b", "A <b> c", "A b", "!!", "A-B", "A []"])
def test_a_pattern_that_could_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        keyword(pattern, None)


@pytest.mark.parametrize("reply", ["{", "{other}", "{}", "{0}", "{argument!r}", "{argument:>9}", "{a.b}"])
def test_a_template_that_could_never_be_filled_is_refused(reply: str) -> None:
    with pytest.raises(BadPattern):
        keyword("ACK", reply)


def test_a_template_is_filled_and_doubled_braces_are_braces() -> None:
    made = keyword("ACK [id]", "{keyword}|{argument}|{sender}|{{x}}")
    assert made.reply("17", "+1") == "ACK|17|+1|{x}"
    assert made.reply(None, "+1") == "ACK||+1|{x}"


@given(st.text(max_size=50))
def test_what_a_person_wrote_is_never_taken_for_a_template(written: str) -> None:
    assert keyword("ACK [id]", "<{argument}>").reply(written, "+1") == f"<{written}>"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HELLO world", "hello, World!"),
        ("Ｈｅｌｌｏ", "hello"),
        ("Héllo", "he\u0301llo"),
        ("naïve", "NAIVE"),
        ("a\u00a0b", "a b"),
        ("o\u200bk", "ok"),
        ("Straße", "STRASSE"),
    ],
)
def test_texts_that_say_the_same_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


@pytest.mark.parametrize(("one", "other"), [("ack 1", "ack 2"), ("stop", "stop it"), ("रोको", "रुको")])
def test_texts_that_say_something_else_fold_to_something_else(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    short = text[:20]
    assert fold(fold(short)) == fold(short)


@given(st.text(max_size=300))
def test_every_text_has_a_first_word_or_none(text: str) -> None:
    found = first_word(text)
    assert found is None or " " not in found[0]
