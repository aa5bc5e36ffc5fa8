"""The judge's process: that it ends, and that it says why when it comes to no verdict."""

from __future__ import annotations

import pytest

from schemas.clients import Kafka
from tests.analytics.chaos.judge import Case, Judge, JudgeFailed

NOBODY = "http://127.0.0.1:9"
NO_KAFKA = Kafka(bootstrap_servers="127.0.0.1:9")


def test_a_judge_that_is_asked_nothing_ends_with_its_block() -> None:
    judge = Judge(NO_KAFKA, NOBODY)
    with judge:
        process = judge._process
        assert process.is_alive()
    with pytest.raises(ValueError, match="closed"):
        process.is_alive()


def test_a_judge_that_cannot_ask_the_database_says_so_and_passes_nothing() -> None:
    with Judge(NO_KAFKA, NOBODY) as judge, pytest.raises(JudgeFailed, match="no verdict: OperationalError"):
        judge.verdict(Case(NOBODY, ends={}, looked_up=(), poison={}))
