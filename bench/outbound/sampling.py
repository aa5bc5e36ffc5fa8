"""Where the sink's event loop spends its time, seen from a thread that looks in every few milliseconds.

A share is of the moments in which the loop's thread was seen in a stage. Looking needs the interpreter lock,
so that a long call into C that keeps it is seen when it ends: shares are good to some per cent.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from types import FrameType

from bench.streams.sampling import Share

EVERY_S = 0.005
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
        self._watched = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[Share]:
        """The stages, the largest first."""
        self._end.set()
        self._thread.join()
        total = sum(self._seen.values()) or 1
        return [
            Share(stage=stage, percent=round(100 * seen / total, 1))
            for stage, seen in self._seen.most_common()
        ]

    def _work(self) -> None:
        while not self._end.wait(EVERY_S):
            self._seen[_stage(sys._current_frames().get(self._watched))] += 1


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        code = frame.f_code
        for stage, file, function in _STAGES:
            if file in code.co_filename and function in code.co_name:
                return stage
        frame = frame.f_back
    return "other"
