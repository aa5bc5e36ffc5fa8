"""Where the sink's event loop spends its time, seen from a thread that looks in every few milliseconds.

A share is of the moments in which the loop's thread was seen in a stage. Looking needs the interpreter lock,
so that a long call into C that keeps it is seen when it ends: shares are good to some per cent.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from bench.ingress.processor import Spent
from bench.streams.sampling import Share

EVERY_S = 0.005
_THREADS_EVERY_S = 1.0
# (stage, part of the file's name, part of the function's name); the innermost frame that fits counts.
_STAGES = (
    ("wait", "selectors.py", "select"),
    ("read commands: Avro", "schemas/codec.py", "decode"),
    ("write journal and reports: Avro", "schemas/codec.py", "encode"),
    ("form and answer: Twilio's SDK", "twilio/", ""),
    ("HTTP: aiohttp", "aiohttp/", ""),
    ("HTTP: aiohttp", "yarl/", ""),
    ("HTTP: aiohttp", "multidict/", ""),
    ("HTTP: our client", "sinks/outbound/twilio_http", ""),
    ("form and answer: ours", "sinks/outbound/twilio", ""),
    ("consent", "sinks/outbound/consent_view", ""),
    ("consent", "streams/consent", ""),
    ("pacing", "sinks/outbound/pacing/", ""),
    ("pacing", "sinks/outbound/lanes", ""),
    ("journal", "sinks/outbound/journal", ""),
    ("doubts", "sinks/outbound/doubts", ""),
    ("offsets", "sinks/outbound/offsets", ""),
    ("operating", "sinks/outbound/operating", ""),
    ("operating", "sinks/outbound/states", ""),
    ("operating", "sinks/outbound/metrics", ""),
    ("reading", "sinks/outbound/reader", ""),
    ("calls", "sinks/outbound/calls", ""),
    ("the worker's loop", "sinks/outbound/", ""),
    ("threads", "concurrent/futures", ""),
    ("event loop", "asyncio/", ""),
)


class Sampler:
    """Watches the thread that makes it, from `start` to `stop`."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._spent: dict[int, tuple[str, float]] = {}
        self._began_at = self._ended_at = 0.0
        self._watched = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._began_at = time.monotonic()
        self._thread.start()

    def stop(self) -> list[Share]:
        """The stages, the largest first."""
        self._end.set()
        self._thread.join()
        total = sum(self._seen.values()) or 1
        self._ended_at = time.monotonic()
        return [
            Share(stage=stage, percent=round(100 * seen / total, 1))
            for stage, seen in self._seen.most_common()
        ]

    def threads(self) -> list[Spent]:
        """Each thread's processor time in microseconds a second, the busiest first; after `stop`.

        As of the last look at them: the sink's own end their work before it does.
        """
        seconds = self._ended_at - self._began_at
        busy = [(name, spent / seconds * 1e6) for name, spent in self._spent.values()]
        return [Spent(name, round(each)) for name, each in sorted(busy, key=lambda b: -b[1]) if each > 1_000]

    def _look_at_threads(self) -> None:
        for thread in psutil.Process().threads():
            with suppress(FileNotFoundError):  # it has just ended
                name = Path(f"/proc/self/task/{thread.id}/comm").read_text().strip()
                self._spent[thread.id] = (name, thread.user_time + thread.system_time)

    def _work(self) -> None:
        looked_at = 0.0
        while not self._end.wait(EVERY_S):
            if time.monotonic() > looked_at + _THREADS_EVERY_S:
                looked_at = time.monotonic()
                self._look_at_threads()
            self._seen[_stage(sys._current_frames().get(self._watched))] += 1


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        code = frame.f_code
        for stage, file, function in _STAGES:
            if file in code.co_filename and function in code.co_name:
                return stage
        frame = frame.f_back
    return "other"
