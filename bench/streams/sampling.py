"""Where a process spends its time, seen from a thread that looks in every few milliseconds.

A share is of the moments in which the event loop's thread was seen in a stage. Looking needs the interpreter
lock, so that a long call into C that keeps it is seen when it ends: shares are good to some per cent.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType

import msgspec

EVERY_S = 0.005

_STAGES = (
    ("wait for work", "selectors.py", "select"),
    ("read the event: Avro", "schemas/codec.py", "decode"),
    ("read the event: by hand", "schemas/hot_reading.py", ""),
    ("write effects: Avro", "schemas/codec.py", "encode"),
    ("decide", "streams/delivery/", ""),
    ("decide", "streams/recipients/", ""),
    ("normalise requests", "streams/intake/", ""),
    ("row from bytes", "streams/store/rows.py", "decode"),
    ("row to bytes", "streams/store/rows.py", "encode"),
    ("rows on the disk", "streams/store/", ""),
    ("hand to the producer", "streams/outputs.py", ""),
    ("rows in memory", "streams/table.py", ""),
    ("dispatch", "streams/processors.py", ""),
    ("dispatch", "streams/worker.py", ""),
    ("fetch", "streams/engine.py", ""),
    ("fetch", "aiokafka/", ""),
    ("Faust", "faust/", ""),
    ("Faust", "mode/", ""),
    ("event loop", "asyncio/", ""),
)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were handled until then (seconds, monotonic)."""

    at: float
    handled: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    stage: str
    percent: float


class Sampler:
    """Watches the thread that makes it, from `start` to `stop`. `handled` tells how far the work is."""

    def __init__(self, handled: Callable[[], int]) -> None:
        self.samples: list[Sample] = []
        self._handled = handled
        self._seen: Counter[str] = Counter()
        self._watched = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def shares(self) -> list[Share]:
        """Stages of the time in which there was work, the largest first."""
        total = sum(self._seen.values()) or 1
        return [
            Share(stage=stage, percent=round(100 * seen / total, 1))
            for stage, seen in self._seen.most_common()
        ]

    def _work(self) -> None:
        while not self._end.wait(EVERY_S):
            handled = self._handled()
            if not self.samples or handled != self.samples[-1].handled:
                self.samples.append(Sample(at=time.monotonic(), handled=handled))
            if handled:
                self._seen[_stage(sys._current_frames().get(self._watched))] += 1


def _stage(frame: FrameType | None) -> str:
    """Of the innermost frame that belongs to a stage."""
    while frame is not None:
        code = frame.f_code
        for stage, file, function in _STAGES:
            if file in code.co_filename and function in code.co_name:
                return stage
        frame = frame.f_back
    return "other"
