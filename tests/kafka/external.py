"""The broker that KAFKA_BOOTSTRAP_SERVERS names, behind the same handle as a broker of our own.

Guarantees: a test that would stop, kill or pause it is refused before it does anything. Leaves to whoever
set the variable: that the address answers.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE = "NOTIFYSTREAM_REQUIRE_BROKER"


def required() -> bool:
    """Whether a test that needs a broker must run, so that to skip it is to fail (set by .ci/run)."""
    return os.environ.get(REQUIRE, "") not in ("", "0")


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the running test, or fail it where `required()`."""
    if required():
        pytest.fail(f"{reason} ({REQUIRE} is set, so this is a failure)", pytrace=False)
    pytest.skip(reason)


class ExternalKafka:
    """Somebody else's broker: it is used, never disturbed."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def stop(self) -> None:
        self._refuse("stopped")

    def kill(self) -> None:
        self._refuse("killed")

    def restart(self) -> None:
        self._refuse("restarted")

    def pause(self) -> None:
        self._refuse("paused")

    def resume(self) -> None:
        self._refuse("resumed")

    def ensure_running(self) -> None:
        """Nothing to do: no test could have disturbed it."""

    def log_tail(self, lines: int = 40) -> str:
        return f"(the log of {self.bootstrap} is where its owner keeps it)"

    def _refuse(self, done: str) -> NoReturn:
        skip_or_fail(
            f"the broker at KAFKA_BOOTSTRAP_SERVERS={self.bootstrap} is not ours to be {done}; "
            "unset the variable to run this test on a broker of its own"
        )
