"""Shares and quantiles: known values, and what holds for all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.analytics.facts import BUCKET_RATIO
from sinks.analytics.reports.statistics import Share, quantile, share


@pytest.mark.parametrize(
    ("part", "whole", "interval"),
    [
        # As tabulated for the Wilson score interval without continuity correction, 95 %.
        (0, 10, Share(0.0, 0.0, 27.8)),
        (3, 3, Share(100.0, 43.9, 100.0)),
        (10, 100, Share(10.0, 5.5, 17.4)),
        (50, 100, Share(50.0, 40.4, 59.6)),
    ],
)
def test_shares_have_the_interval_of_the_tables(part: int, whole: int, interval: Share) -> None:
    assert share(part, whole) == interval


def test_a_share_of_nothing_is_not_known() -> None:
    assert share(0, 0) == Share(None, None, None)


def test_a_part_larger_than_its_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="no part of"):
        share(2, 1)


@given(st.integers(1, 10_000).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_the_interval_holds_the_share_and_narrows_with_more_of_the_same(counts: tuple[int, int]) -> None:
    part, whole = counts
    few, many = share(part, whole), share(part * 100, whole * 100)
    assert None not in (*few, *many)
    assert 0 <= (few.low or 0) <= (few.percent or 0) <= (few.high or 0) <= 100
    assert (many.high or 0) - (many.low or 0) <= (few.high or 0) - (few.low or 0)


@given(st.lists(st.integers(1, 10**9), min_size=1), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_the_element_at_its_place_to_a_fortieth(spans: list[int], level: float) -> None:
    counts: dict[int, int] = {}
    for span in spans:
        bucket = round(math.log(span) / math.log(BUCKET_RATIO))
        counts[bucket] = counts.get(bucket, 0) + 1
    exact = sorted(spans)[min(int(level * len(spans)), len(spans) - 1)] / 1000
    assert quantile(sorted(counts.items()), level) == pytest.approx(exact, rel=0.026)


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile([], 0.5) is None
