"""Two ways to say what is masked, and that they say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics import privacy
from tests.analytics.chaos.masks import without_number_of, without_numbers

NUMBER = "+4915123456789"
words = st.lists(
    st.sampled_from(
        ["+", "1", "22", "12345", "49151", "(", ")", " ", "-", ".", "/", "no", "٣", NUMBER, "\n"]
    ),
    max_size=20,
).map("".join)


@given(words)
def test_free_text_is_masked_as_the_sink_masks_it(text: str) -> None:
    assert without_numbers(text) == privacy.without_numbers(text)


@given(words)
def test_a_producers_words_are_masked_as_the_sink_masks_them(text: str) -> None:
    assert without_number_of(text, NUMBER) == privacy.without_number_of(text, NUMBER)
