"""Asks the provider about numbers that are due: within the budget, at the set pace, each answer kept at once.

Guarantees: a unit of the budget is spent before each call that may be charged; a number is asked at most
once per age, but for a crash between its answer and the next `KEPT_EVERY`th, which may ask those again.
What no budget is left for, and what the provider failed to answer TRIES times, is passed over and asked
with its next request. Leaves to the worker: how to wait (its group membership must be kept), and what is
due.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sinks.carriers import metrics
from sinks.carriers.budget import Budget
from sinks.carriers.lines import Due, Line, Observation, observed
from sinks.carriers.store import Store
from sinks.carriers.twilio_lookup import Lookups

log = logging.getLogger(__name__)

# Answers in one insert: few enough that a crash asks few of them again.
KEPT_EVERY = 20
# Of calls that may have been charged; those that were not are made again for as long as it takes.
TRIES = 3
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class Wait(Protocol):
    """Let this many seconds pass. Raises what ends the process."""

    def __call__(self, seconds: float) -> None: ...


class Asking:
    """One process's look-ups, one after the other."""

    def __init__(
        self,
        store: Store,
        budget: Budget,
        lookups: Lookups,
        runner: asyncio.Runner,
        per_s: float,
        wait: Wait,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._budget = budget
        self._lookups = lookups
        self._runner = runner
        self._gap_s = 1 / per_s
        self._wait = wait
        self._now_ms = now_ms
        self._next_at = 0.0
        self._used_up = False
        self._answers: list[Observation] = []

    def keep(self) -> None:
        """Write down the answers that could not be when they came. Raises ClickHouseAway."""
        self._store.keep_observations(self._answers)
        self._answers = []

    def ask(self, numbers: Sequence[Due]) -> None:
        """Ask about these, oldest request first.

        Raises ClickHouseAway: then `keep`, find out what is still due, and call again.
        """
        try:
            for position, number in enumerate(numbers):
                if not self._unit(len(numbers) - position):
                    metrics.LOOKUPS.labels("no_budget").inc(len(numbers) - position)
                    break
                line = self._line(number)
                if line is not None:
                    self._answers.append(observed(number, line, self._now_ms()))
                if len(self._answers) >= KEPT_EVERY:
                    self.keep()
        finally:
            # Also when the process is to end: they are paid for.
            self.keep()

    def _unit(self, wanted: int) -> bool:
        left = self._store.guarded(lambda: self._budget.held(self._now_ms(), wanted), "budget of look-ups")
        if (left == 0) != self._used_up:
            self._used_up = left == 0
            if self._used_up:
                log.warning("the month's budget of look-ups is used up; carriers are the prefixes' meanwhile")
        return left > 0

    def _line(self, number: Due) -> Line | None:
        """The answer, None when the provider failed too often. A unit must be held."""
        charged_for_nothing = 0
        wait = FIRST_WAIT_S
        while True:
            self._pace()
            self._budget.spend()
            answer = self._runner.run(self._lookups.ask(number.number))
            if isinstance(answer, Line):
                metrics.CHARGED.inc()
                metrics.LOOKUPS.labels("answered").inc()
                return answer
            if answer.maybe_charged:
                metrics.CHARGED.inc()
                charged_for_nothing += 1
            else:
                self._budget.unspend()
            pause = max(wait, answer.after_s or 0.0)
            if charged_for_nothing == TRIES or (answer.maybe_charged and not self._unit(1)):
                metrics.LOOKUPS.labels("given_up").inc()
                log.warning(
                    "a look-up got no answer (%s); the number is asked with its next request", answer.reason
                )
                return None
            metrics.WAITS.labels("provider").inc()
            log.warning("look-up: %s; trying again in %.1f s", answer.reason, pause)
            self._wait(pause)
            wait = min(wait * 2, LONGEST_WAIT_S)
            if not self._unit(1):
                return None

    def _pace(self) -> None:
        left = self._next_at - time.monotonic()
        if left > 0:
            self._wait(left)
        self._next_at = time.monotonic() + self._gap_s
