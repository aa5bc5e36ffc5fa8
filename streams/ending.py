"""An end to every shutdown.

Faust and aiokafka wait for a broker that is away for as long as it is away, also while they stop. Nothing is
lost by not waiting: what was not committed is read again (see `outputs`).
"""

import os
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_POLL_S = 0.2


def end_within(seconds: float, stopping: Callable[[], bool]) -> None:
    """Watch, from a thread; end the process with code 1 when it is still there so long after `stopping`."""

    def watch() -> None:
        while not stopping():
            time.sleep(_POLL_S)
        time.sleep(seconds)
        log.error(
            "did not stop in time, so it is ended; what was not committed is read again", seconds=seconds
        )
        os._exit(1)

    threading.Thread(target=watch, name="ending", daemon=True).start()
