"""Records to Kafka, each with a report whether the broker has it.

Guarantees: `publish` never blocks and never raises; the delivery's `settle` is then called once, on the event
loop, with no error only after all in-sync replicas have the record (idempotent producer, acks=all); of one
key, records are written in the order of the calls; after a fatal error of the client a new one takes its
place.
Leaves to others: deadlines, and what to do with a record that was not acknowledged. It may be in the topic
all the same.

Who polls librdkafka decides what a request costs. With few records on their way a thread waits for reports:
one is handed to the event loop within a tenth of a millisecond. With many, thread and loop would fight for
the interpreter's lock at every report, so that then the loop itself polls, once a millisecond, and the thread
stands by. What is to be published goes out with each such poll, together: else librdkafka's own thread sends
it in many small requests (at 15,000 requests/s: 14 µs of its time a record instead of 4, which the broker on
the same two cores feels as well).
Measured with a bare handler that publishes 500 bytes, 256 connections, real Kafka on the same two cores: the
thread alone 16,000 requests/s, the loop alone 39,800; at one connection the loop alone takes 1.2 ms (a timer
of libuv has milliseconds), the thread 0.29 ms.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingress.errors import BrokerAway
from schemas.clients import Config, Kafka

log = structlog.get_logger("ingress.publisher")

# A record goes out at once; at load batches form by themselves while earlier ones are on their way. Measured
# as above: linger 0 39,800 requests/s, 2 ms 35,600, 5 ms 25,900.
LINGER_MS = 0.0
# How long librdkafka itself goes on with a record. Longer than any request waits, so that the journal can be
# emptied into a broker that is slow, not away.
DELIVERY_TIMEOUT_MS = 30_000
# The longest the polling thread takes to see that it shall end, stand by or go on; a report wakes it at once.
POLL_S = 0.1
# With more records than this on their way the loop polls.
CROWD = 16
LOOP_POLL_S = 0.001


class Delivery:
    """One record on its way. `on_report` is called on the event loop with this; `error` says how it went."""

    __slots__ = ("_reports", "error", "key", "on_report", "topic", "value")

    def __init__(self, topic: str, key: str, value: bytes, on_report: "Callable[[Delivery], None]") -> None:
        self.topic = topic
        self.key = key
        self.value = value
        self.on_report = on_report
        self.error: str | None = None
        self._reports: deque[Delivery] | None = None

    def hand_in(self, reports: "deque[Delivery]") -> "Callable[[KafkaError | None, Message], None]":
        self._reports = reports
        return self._report

    def _report(self, error: KafkaError | None, _: Message) -> None:
        """Called by whichever thread polls."""
        if error is not None:
            self.error = f"Kafka: {error.str()}"
        assert self._reports is not None
        self._reports.append(self)


class Publishing(Protocol):
    """What the ingress needs of a broker."""

    def publish(self, delivery: Delivery) -> None:
        """Take the record; `delivery.on_report` follows on the event loop, not before this returns."""


class Publisher:
    """One producer for one event loop: `start` on that loop, then `publish`, at the end `close`."""

    __slots__ = (
        "_config",
        "_crowded",
        "_ending",
        "_errors_told",
        "_fatal",
        "_held",
        "_in_flight",
        "_loop",
        "_make",
        "_on_outage",
        "_producer",
        "_quiet",
        "_reports",
        "_thread",
    )

    def __init__(
        self,
        kafka: Kafka,
        *,
        on_outage: Callable[[str], None],
        make: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        """`on_outage` is called on the event loop, with the reason, when no broker can be connected to."""
        self._config: Config = kafka.producer(
            "notifystream-ingress", linger_ms=LINGER_MS, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
        )
        self._on_outage = on_outage
        self._make = make
        self._fatal = threading.Event()
        self._ending = threading.Event()
        self._quiet = threading.Event()
        self._quiet.set()
        self._crowded = False
        self._in_flight = 0
        self._held: list[Delivery] = []
        self._reports: deque[Delivery] = deque()  # appended to by whoever polls, emptied by the loop
        self._errors_told: set[str] = set()  # since the last record that arrived
        self._producer = self._new_producer()
        self._thread = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to poll; delivery reports go to the running event loop. No broker needs to be there yet."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def publish(self, delivery: Delivery) -> None:
        loop = self._loop
        if loop is None or self._ending.is_set():
            raise RuntimeError(
                "the publisher is not running: nothing may be published before start or after close"
            )
        self._in_flight += 1
        if self._crowded:
            self._held.append(delivery)
            return
        self._produce(loop, delivery)

    def _produce(self, loop: asyncio.AbstractEventLoop, delivery: Delivery) -> None:
        try:
            self._producer.produce(
                delivery.topic, delivery.value, delivery.key, on_delivery=delivery.hand_in(self._reports)
            )
        except BufferError:
            self._refuse(loop, delivery, "the queue to the broker is full")
        except KafkaException as refused:
            self._refuse(loop, delivery, f"Kafka refused the record: {refused}")
        else:
            if self._in_flight > CROWD and not self._crowded:
                self._crowded = True
                self._quiet.clear()
                loop.call_later(LOOP_POLL_S, self._poll_on_loop)

    @property
    def in_flight(self) -> int:
        """Records handed over and not reported yet."""
        return self._in_flight

    def ask_broker(self, timeout_s: float) -> None:
        """Return when a broker told about its cluster. Blocks: not for the event loop.

        Raises BrokerAway after `timeout_s` seconds.
        """
        try:
            cluster = self._producer.list_topics(timeout=timeout_s)
        except KafkaException as away:
            raise BrokerAway(f"no Kafka broker answered within {timeout_s:g} s: {away}") from away
        if not cluster.brokers:
            raise BrokerAway("the Kafka cluster names no broker")

    async def close(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` seconds for what is on its way; what is left is reported as failed."""
        if self._ending.is_set() or self._loop is None:
            return
        give_up = self._loop.time() + timeout_s
        while self._in_flight and self._loop.time() < give_up:  # noqa: ASYNC110 # once, at the end
            await asyncio.sleep(LOOP_POLL_S)
        self._ending.set()
        await asyncio.to_thread(self._thread.join)
        self._settle()

    def _new_producer(self) -> Producer:
        # Its own lines on stderr, a dozen a second while a broker is away, say the same without a form.
        return self._make({**self._config, "error_cb": self._on_error, "log_level": 0})

    def _refuse(self, loop: asyncio.AbstractEventLoop, delivery: Delivery, why: str) -> None:
        delivery.error = why
        self._reports.append(delivery)
        loop.call_soon(self._settle)

    def _poll_on_loop(self) -> None:
        assert self._loop is not None
        held, self._held = self._held, []
        for delivery in held:
            self._produce(self._loop, delivery)
        self._producer.poll(0)
        self._settle()
        if self._in_flight and not self._ending.is_set():
            self._loop.call_later(LOOP_POLL_S, self._poll_on_loop)
        else:
            self._crowded = False
            self._quiet.set()

    def _poll(self) -> None:
        while not self._ending.is_set():
            if self._quiet.wait(POLL_S):
                self._producer.poll(POLL_S)
                self._wake_loop()
            if self._fatal.is_set():
                self._replace()
        self._abandon(self._producer)

    def _replace(self) -> None:
        """A producer after a fatal error accepts nothing for ever (KIP-98): go on with a new one."""
        broken, self._producer = self._producer, self._new_producer()
        self._fatal.clear()
        self._abandon(broken)
        log.warning("kafka.producer_replaced")

    def _abandon(self, producer: Producer) -> None:
        # Without this the client would wait for a broker that is away when it is deleted.
        producer.purge()
        producer.poll(0)
        self._wake_loop()

    def _wake_loop(self) -> None:
        """One wake-up for all reports of one poll: one for each would cost more than the record."""
        if self._reports and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        reports = self._reports
        while reports:
            delivery = reports.popleft()
            self._in_flight -= 1
            if delivery.error is None and self._errors_told:
                self._errors_told.clear()
            delivery.on_report(delivery)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal.set()
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_outage, error.str())
        if error.name() not in self._errors_told:  # one line an outage, not one per try to connect
            self._errors_told.add(error.name())
            log.warning("kafka.error", error=error.name(), detail=error.str(), fatal=error.fatal())
