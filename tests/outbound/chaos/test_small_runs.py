"""A small run, which must pass, and runs with a promise broken, which must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outbound.chaos.run import Unfinished, lines, run
from tests.outbound.chaos.sabotage import SABOTAGE
from tests.outbound.chaos.terms import Terms

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(400)]


def test_two_kills_and_a_rebalance_send_nothing_twice_and_lose_nothing(tmp_path: Path, seed: int) -> None:
    terms = Terms(seed, commands=600, kills=2, freeze=False, limit_s=200)
    result = run(terms, tmp_path)
    print("\n".join(lines(result)))
    assert not result.wrong


# Who may send twice after a takeover is found out where senders are taken over twice while they have to wait.
LONGER = {"full-bucket": (4_000, 8)}


@pytest.mark.parametrize(
    "broken",
    [pytest.param(name, marks=pytest.mark.alone if name in LONGER else ()) for name in SABOTAGE],
)
def test_a_broken_promise_does_not_pass(broken: str, tmp_path: Path, seed: int) -> None:
    commands, kills = LONGER.get(broken, (1_500, 4))
    terms = Terms(seed, commands=commands, kills=kills, freeze=False, sabotage=broken, limit_s=200)
    try:
        result = run(terms, tmp_path)
    except Unfinished as unfinished:
        print(unfinished)
    else:
        print("\n".join(lines(result)))
        assert result.wrong
