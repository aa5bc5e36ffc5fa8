"""What a reader sees as one character (UAX #29)."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.graphemes import graphemes


@pytest.mark.parametrize(
    "parts",
    [
        ["a", "b"],
        ["e\u0301\u0301", "a"],
        ["😀", "😀"],
        ["👍🏽", "👍"],
        ["🇮🇹", "🇩🇪", "🇫"],
        ["a", "🇮🇹", "🇩🇪"],
        ["👩\u200d❤️\u200d💋\u200d👨", "!"],
        ["🏳️\u200d🌈"],
        ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],
        ["\r", "\n", "\u0301"],
        ["각", "나\u11a8"],
        ["\u1112\u1161\u11ab", "\u1100"],
        ["नि", "रु"],
        ["กำ", "ก"],
    ],
    ids=lambda parts: ascii("".join(parts)),
)
def test_a_text_is_cut_between_what_a_reader_sees(parts: list[str]) -> None:
    assert list(graphemes("".join(parts))) == parts


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("🇮🇹👩\u200d❤\ufe0f🏽e\u0301가\u11a8"))))
def test_the_parts_are_the_whole_text_and_none_starts_with_an_accent(text: str) -> None:
    parts = list(graphemes(text))
    assert "".join(parts) == text
    for before, part in pairwise(parts):
        after_a_break = unicodedata.category(before[-1]) in ("Cc", "Zl", "Zp")
        assert after_a_break or unicodedata.category(part[0]) not in ("Mn", "Me")
