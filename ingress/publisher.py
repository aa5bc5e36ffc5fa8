"""Records to Kafka, each with an answer whether the broker has it.

Guarantees: `publish` returns only after all in-sync replicas have the record (idempotent producer, acks=all),
and raises NotAcknowledged otherwise, within the deadline; it never blocks the event loop; a full queue is an
error at once; after a fatal error of the client a new one takes its place.
Leaves to others: what to answer, and whether to try again. A record that was not acknowledged may be in the
topic all the same.

One thread polls librdkafka. The delivery reports of one poll reach the event loop together, by one wake-up:
one per message would cost more than the message (facts, Kafka).
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingress.errors import BrokerAway, NotAcknowledged
from schemas.clients import Config, Kafka

log = structlog.get_logger("ingress.publisher")

# A record goes out at once; at load batches form by themselves while earlier ones are on their way. Measured
# on two cores: median 0.6 ms instead of 1.7 ms (linger 1) at one connection, the same rate at 32 and 256.
LINGER_MS = 0.0
# librdkafka gives a record up before the request does, so that the report says why.
DELIVERY_SHARE_OF_DEADLINE = 0.9
# The longest the polling thread takes to see that it shall end; a report wakes it at once.
POLL_S = 0.1

Reported = tuple["asyncio.Future[None]", KafkaError | None]


class Publishing(Protocol):
    """What the webhooks need of a broker."""

    async def publish(self, topic: str, key: str, value: bytes) -> None:
        """Return once the broker has the record; raise NotAcknowledged otherwise."""


class Publisher:
    """One producer for one event loop: `start` on that loop, then `publish`, at the end `close`."""

    __slots__ = (
        "_ack_timeout_s",
        "_config",
        "_ending",
        "_fatal",
        "_last_error",
        "_loop",
        "_make",
        "_pending",
        "_producer",
        "_reports",
        "_thread",
    )

    def __init__(
        self, kafka: Kafka, *, ack_timeout_s: float, make: Callable[[dict[str, Any]], Producer] = Producer
    ) -> None:
        self._ack_timeout_s = ack_timeout_s
        self._config: Config = kafka.producer(
            "notifystream-ingress",
            linger_ms=LINGER_MS,
            delivery_timeout_ms=max(1, int(ack_timeout_s * 1000 * DELIVERY_SHARE_OF_DEADLINE)),
        )
        self._make = make
        self._fatal = threading.Event()
        self._ending = threading.Event()
        self._pending: set[asyncio.Future[None]] = set()
        self._reports: list[Reported] = []  # this and the next are touched by the polling thread only
        self._last_error: str | None = None
        self._producer = self._new_producer()
        self._thread = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to poll; delivery reports go to the running event loop. No broker needs to be there yet."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def publish(self, topic: str, key: str, value: bytes) -> None:
        """Return once the broker has the record.

        Raises NotAcknowledged after the deadline, on a broker's error, when the queue is full and when the
        publisher is closed or not started; the message says which.
        """
        if self._loop is None or self._ending.is_set():
            raise NotAcknowledged("the publisher is not running")
        reported: asyncio.Future[None] = self._loop.create_future()
        try:
            self._producer.produce(topic, value, key, on_delivery=partial(self._report, reported))
        except BufferError as full:
            raise NotAcknowledged("the queue to the broker is full") from full
        except KafkaException as refused:
            raise NotAcknowledged(f"Kafka refused the record: {refused}") from refused
        self._pending.add(reported)
        deadline = self._loop.call_later(self._ack_timeout_s, self._expire, reported)
        try:
            await reported
        finally:
            deadline.cancel()
            self._pending.discard(reported)

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

    async def close(self) -> None:
        """Wait for what is on its way, at most the deadline, then end; what is left is not acknowledged."""
        self._ending.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        for reported in list(self._pending):
            _settle(reported, NotAcknowledged("the ingress ended before the broker acknowledged"))

    def _new_producer(self) -> Producer:
        return self._make({**self._config, "error_cb": self._on_error})

    def _poll(self) -> None:
        while not self._ending.is_set():
            self._producer.poll(POLL_S)
            self._hand_over()
            if self._fatal.is_set():
                self._replace()
        self._producer.flush(self._ack_timeout_s)
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
        self._hand_over()

    def _report(self, reported: "asyncio.Future[None]", error: KafkaError | None, _: Message) -> None:
        self._reports.append((reported, error))
        if error is None:
            self._last_error = None

    def _hand_over(self) -> None:
        if self._reports and self._loop is not None:
            reports, self._reports = self._reports, []
            self._loop.call_soon_threadsafe(_settle_all, reports)

    def _expire(self, reported: "asyncio.Future[None]") -> None:
        _settle(reported, NotAcknowledged(f"no acknowledgement within {self._ack_timeout_s:g} s"))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal.set()
        if error.name() != self._last_error:  # one line an outage, not one per try to connect
            self._last_error = error.name()
            log.warning("kafka.error", error=error.name(), detail=error.str(), fatal=error.fatal())


def _settle_all(reports: list[Reported]) -> None:
    for reported, error in reports:
        _settle(reported, None if error is None else NotAcknowledged(f"Kafka: {error.str()}"))


def _settle(reported: "asyncio.Future[None]", failure: NotAcknowledged | None) -> None:
    if reported.done():  # the deadline, or the end of the request, was first
        return
    if failure is None:
        reported.set_result(None)
    else:
        reported.set_exception(failure)
