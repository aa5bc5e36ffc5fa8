"""A small run, which must pass, and runs with a promise broken, which must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streams.chaos.run import Terms, Unfinished, lines, run
from tests.streams.chaos.sabotage import SABOTAGE

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(400)]


def test_two_kills_and_a_rebalance_lose_nothing_and_do_nothing_twice(tmp_path: Path, seed: int) -> None:
    terms = Terms(seed, notifications=400, kills=2, standstill=False, limit_s=200)
    result = run(terms, tmp_path)
    print("\n".join(lines(result)))
    assert not result.wrong


@pytest.mark.parametrize("broken", SABOTAGE)
def test_a_broken_promise_does_not_pass(broken: str, tmp_path: Path, seed: int) -> None:
    terms = Terms(seed, notifications=400, kills=3, standstill=False, sabotage=broken, limit_s=100)
    try:
        result = run(terms, tmp_path)
    except Unfinished as unfinished:
        print(unfinished)
    else:
        print("\n".join(lines(result)))
        assert result.wrong
