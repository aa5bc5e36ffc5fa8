"""A small run, which must pass, and runs with a promise broken, which must not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.analytics.chaos.run import lines, run
from tests.analytics.chaos.sabotage import SABOTAGE
from tests.analytics.chaos.terms import Terms

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(400)]
BASE_MS = time.time_ns() // 1_000_000 // 86_400_000 * 86_400_000


def test_a_kill_an_absence_of_the_database_and_a_rebalance_lose_nothing_and_double_nothing(
    tmp_path: Path, seed: int
) -> None:
    terms = Terms(seed, BASE_MS, events=6_000, kills=1, away_s=3, blinks=0, third=False, limit_s=90)
    result = run(terms, tmp_path)
    print("\n".join(lines(result)))
    assert not result.wrong


# What each broken promise must be found by.
FOUND_BY = {
    "commit-first": ": missing",
    "wrong-token": "status_events: ",
    "dropped-rows": ": missing",
    "lost-letters": "and no dead letter",
}


@pytest.mark.parametrize("broken", SABOTAGE)
def test_a_broken_promise_does_not_pass(broken: str, tmp_path: Path, seed: int) -> None:
    terms = Terms(
        seed, BASE_MS, events=8_000, kills=3, away_s=0, blinks=0, third=False, sabotage=broken, limit_s=200
    )
    result = run(terms, tmp_path)
    print("\n".join(lines(result)))
    assert any(FOUND_BY[broken] in wrong for wrong in result.wrong)
