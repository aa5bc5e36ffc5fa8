"""The bench's measures of a kept rate, against the obvious ones."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bench.outbound.pacing import WINDOW_S, Text, above_bucket, worst_window_error

PAUSES = st.sampled_from((0.0, 0.25, 1.0, 2.5, 12.0))
RATES = st.sampled_from((0.5, 1.0, 4.0))


@st.composite
def texts(draw: st.DrawFn) -> list[Text]:
    at, found = 100.0, []
    for pause, segments in draw(st.lists(st.tuples(PAUSES, st.integers(1, 3)), min_size=1, max_size=30)):
        at += pause
        found.append(Text(at, segments))
    return found


@given(texts(), RATES)
def test_the_excess_is_that_of_the_worst_stretch(sent: Sequence[Text], rate: float) -> None:
    stretches = [sent[i : j + 1] for i in range(len(sent)) for j in range(i, len(sent))]
    excess = max(sum(t.segments for t in s) - rate * (s[-1].at - s[0].at) for s in stretches) - 2.0
    assert abs(above_bucket(sent, rate, 2.0) - excess) < 1e-6


@given(texts(), RATES)
def test_the_error_is_that_of_the_worst_window_after_the_first(sent: Sequence[Text], rate: float) -> None:
    errors = []
    for first, begin in enumerate(sent):
        behind = [t for t in sent[first + 1 :] if t.at >= begin.at + WINDOW_S]
        if behind and begin.at >= sent[0].at + WINDOW_S:
            end = behind[0]
            came = sum(t.segments for t in sent[first + 1 : sent.index(end, first) + 1])
            errors.append(abs(came / (end.at - begin.at) - rate) / rate)
    measured = worst_window_error(sent, rate)
    assert (measured is None) == (not errors)
    assert measured is None or abs(measured - max(errors)) < 1e-6


def test_an_even_flow_has_no_error_whatever_its_grain() -> None:
    even = [Text(at * 10.0 / 3, 10) for at in range(20)]
    error = worst_window_error(even, 3.0)
    assert error is not None
    assert error < 1e-9
