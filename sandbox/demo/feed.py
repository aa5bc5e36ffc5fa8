"""The demo's producer: writes the plan's events as any producer would, at a steady rate.

Guarantees: `acknowledged` counts what the broker has; an event that could not be written is an error, because
the verdict would otherwise blame the pipeline for it. Leaves to `run` when to call.
"""

import time

from confluent_kafka import KafkaError, Message, Producer

from sandbox.demo.plan import Kind, Planned
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.topics import Topic

_FLUSH_S = 30.0


class NotWritten(Exception):
    """The broker refused an event, or did not answer for it."""


class Feed:
    """Events in order; `per_second` from the first call of `advance` on."""

    def __init__(self, kafka: Kafka, codec: Codec, events: tuple[Planned, ...], per_second: float) -> None:
        self._producer = Producer(kafka.producer("notifystream-demo"))
        self._codec = codec
        self._events = events
        self._per_second = per_second
        self._began: float | None = None
        self._failed: str | None = None
        self.written = 0
        self.acknowledged = 0
        self.requested_at: dict[str, int] = {}
        """The time of the event that asks for each notification first, ms since the epoch."""

    @property
    def done(self) -> bool:
        return self.acknowledged == len(self._events)

    def advance(self) -> None:
        """Write what is due by now. Raises NotWritten."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        due = min(len(self._events), int((now - self._began) * self._per_second) + 1)
        while self.written < due:
            self._write(self._events[self.written])
            self.written += 1
        self._producer.poll(0)
        if self.written == len(self._events) and not self.done and self._failed is None:
            self._producer.flush(_FLUSH_S)
            if not self.done and self._failed is None:
                self._failed = f"the broker did not answer for {self.written - self.acknowledged} events"
        if self._failed is not None:
            raise NotWritten(f"{self._failed}; the demo cannot judge the pipeline by what it never got")

    def _write(self, planned: Planned) -> None:
        value, now = planned.value, time.time_ns() // 1_000_000
        if planned.request is not None:
            value = self._codec.encode(Topic.NOTIFY_REQUESTED, planned.request)
        self._producer.produce(
            Topic.NOTIFY_REQUESTED,
            key=planned.key.encode(),
            value=value,
            on_delivery=self._report,
            timestamp=now,
        )
        identity = planned.notification_id
        if identity is not None and planned.kind not in (Kind.REPEAT, Kind.CONFLICT):
            self.requested_at[identity] = now

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._failed = f"the broker did not take an event: {error.str()}"
