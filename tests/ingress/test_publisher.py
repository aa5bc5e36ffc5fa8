"""An acknowledgement means the broker has it; anything else is an error in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from ingress.errors import BrokerAway, NotAcknowledged
from ingress.publisher import Publisher
from schemas.clients import Kafka
from tests.ingress.closed_port import closed_port
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio

TOPIC = "publisher.tests"


@asynccontextmanager
async def publishing(
    bootstrap: str, ack_timeout_s: float = 5.0, make: Callable[[dict[str, Any]], Producer] = Producer
) -> AsyncIterator[Publisher]:
    publisher = Publisher(Kafka(bootstrap_servers=bootstrap), ack_timeout_s=ack_timeout_s, make=make)
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


async def test_a_burst_is_acknowledged_record_by_record(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        sent = [publisher.publish(TOPIC, str(number), b"x" * 200) for number in range(1000)]
        assert await asyncio.gather(*sent) == [None] * 1000


async def test_without_a_broker_it_fails_within_the_deadline() -> None:
    async with publishing(closed_port(), ack_timeout_s=0.5) as publisher:
        began = time.monotonic()
        with pytest.raises(NotAcknowledged):
            await publisher.publish(TOPIC, "k", b"v")
        assert time.monotonic() - began < 2


async def test_the_event_loop_is_not_blocked_while_the_broker_is_away() -> None:
    async with publishing(closed_port(), ack_timeout_s=0.5) as publisher:
        waiting = asyncio.create_task(publisher.publish(TOPIC, "k", b"v"))
        longest, last = 0.0, time.monotonic()
        while not waiting.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.25
        assert isinstance(waiting.exception(), NotAcknowledged)


async def test_a_record_larger_than_the_broker_takes_is_not_acknowledged(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        with pytest.raises(NotAcknowledged, match="refused"):
            await publisher.publish(TOPIC, "k", b"x" * 2_000_000)


async def test_a_full_queue_is_an_error_at_once() -> None:
    def small(config: dict[str, Any]) -> Producer:
        return Producer(config | {"queue.buffering.max.messages": 1})

    async with publishing(closed_port(), ack_timeout_s=0.5, make=small) as publisher:
        first = asyncio.create_task(publisher.publish(TOPIC, "k", b"v"))
        await asyncio.sleep(0)
        with pytest.raises(NotAcknowledged, match="full"):
            await publisher.publish(TOPIC, "k", b"v")
        with pytest.raises(NotAcknowledged):
            await first


async def test_closing_ends_in_time_with_the_broker_away_and_leaves_no_request_waiting() -> None:
    async with publishing(closed_port(), ack_timeout_s=0.5) as publisher:
        waiting = asyncio.create_task(publisher.publish(TOPIC, "k", b"v"))
        await asyncio.sleep(0)
        await asyncio.wait_for(publisher.close(), 5)
        with pytest.raises(NotAcknowledged):
            await waiting


async def test_closing_waits_for_what_is_on_its_way(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        sent = [asyncio.ensure_future(publisher.publish(TOPIC, "k", b"v")) for _ in range(100)]
        await asyncio.sleep(0)
        await publisher.close()
        assert await asyncio.gather(*sent) == [None] * 100


async def test_a_closed_publisher_acknowledges_nothing(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        await publisher.close()
        with pytest.raises(NotAcknowledged, match="not running"):
            await publisher.publish(TOPIC, "k", b"v")


async def test_after_a_fatal_error_a_new_producer_goes_on(embedded_kafka: str) -> None:
    made: list[dict[str, Any]] = []

    def remembering(config: dict[str, Any]) -> Producer:
        made.append(config)
        return Producer(config)

    async with publishing(embedded_kafka, make=remembering) as publisher:
        await publisher.publish(TOPIC, "k", b"before")
        made[0]["error_cb"](KafkaError(KafkaError._FATAL, "sequence lost", fatal=True))
        await asyncio.to_thread(wait_until, lambda: len(made) == 2, 5, "another producer")
        await publisher.publish(TOPIC, "k", b"after")


async def test_a_broker_that_is_away_is_said_to_be() -> None:
    async with publishing(closed_port(), ack_timeout_s=0.5) as publisher:
        with pytest.raises(BrokerAway, match=r"0\.2 s"):
            await asyncio.to_thread(publisher.ask_broker, 0.2)
