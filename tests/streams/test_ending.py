"""A process that cannot stop is ended."""

import subprocess
import sys

STUCK = """
import threading
from streams.ending import end_within
end_within(0.1, lambda: {stopping})
threading.Event().wait({seconds})
"""


def ended(stopping: bool, seconds: float) -> int:
    code = STUCK.format(stopping=stopping, seconds=seconds)
    return subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True).returncode


def test_a_process_that_hangs_while_it_stops_is_ended_with_code_1() -> None:
    assert ended(stopping=True, seconds=50) == 1


def test_a_process_that_was_not_asked_to_stop_is_left_alone() -> None:
    assert ended(stopping=False, seconds=1) == 0
