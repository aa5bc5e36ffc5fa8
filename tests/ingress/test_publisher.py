"""A report without an error means the broker has it; every record is reported once, and nothing blocks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from ingress.errors import BrokerAway
from schemas.clients import Kafka
from tests.ingress.closed_port import closed_port
from tests.ingress.publishing import TOPIC, hand_over, publishing
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio


async def test_a_burst_is_acknowledged_record_by_record(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        sent = [hand_over(publisher, b"x" * 200, str(number)) for number in range(1000)]
        assert await asyncio.gather(*sent) == [None] * 1000
        assert publisher.in_flight == 0


async def test_records_of_one_key_are_written_in_the_order_they_were_handed_over(embedded_kafka: str) -> None:
    key = "ordered"
    async with publishing(embedded_kafka) as publisher:
        # The first alone, then more than one poll's worth: each way to hand a record over, one after another.
        sent = [hand_over(publisher, b"0", key)]
        await sent[0]
        for first in range(1, 200, 40):
            sent += [hand_over(publisher, b"%d" % number, key) for number in range(first, first + 40)]
            await asyncio.sleep(0)
        assert set(await asyncio.gather(*sent)) == {None}
    values = await asyncio.to_thread(_read, embedded_kafka, key, len(sent))
    assert values == [b"%d" % number for number in range(len(sent))]


def _read(bootstrap: str, key: str, wanted: int) -> list[bytes]:
    consumer = Consumer(Kafka(bootstrap_servers=bootstrap).consumer("tests", key))
    try:
        partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in partitions])
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < wanted and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None and message.key() == key.encode():
                value = message.value()
                assert isinstance(value, bytes)
                values.append(value)
        return values
    finally:
        consumer.close()


async def test_without_a_broker_the_outage_is_told_before_any_deadline() -> None:
    told: list[str] = []
    async with publishing(closed_port(), on_outage=told.append) as publisher:
        report = hand_over(publisher)
        await asyncio.to_thread(wait_until, lambda: told, 5, "the outage to be told")
        assert not report.done()


async def test_the_event_loop_is_not_blocked_while_the_broker_is_away() -> None:
    told: list[str] = []
    async with publishing(closed_port(), on_outage=told.append) as publisher:
        sent = [hand_over(publisher, b"x", str(number)) for number in range(100)]
        longest, last = 0.0, time.monotonic()
        until = last + 0.5
        while last < until:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.25
        assert not any(report.done() for report in sent)


async def test_a_record_larger_than_the_broker_takes_is_reported_as_refused(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        assert "refused" in str(await hand_over(publisher, b"x" * 2_000_000))


async def test_a_report_never_comes_before_the_record_was_handed_over(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        assert not hand_over(publisher, b"x" * 2_000_000).done()


async def test_a_full_queue_is_an_error_at_once() -> None:
    def small(config: dict[str, Any]) -> Producer:
        return Producer(config | {"queue.buffering.max.messages": 1})

    async with publishing(closed_port(), make=small) as publisher:
        first = hand_over(publisher)
        assert "full" in str(await hand_over(publisher))
        assert not first.done()


async def test_closing_ends_in_time_with_the_broker_away_and_reports_what_is_left() -> None:
    async with publishing(closed_port()) as publisher:
        sent = [hand_over(publisher, b"x", str(number)) for number in range(100)]
        await asyncio.wait_for(publisher.close(0.2), 10)
        assert all("Kafka" in str(report) for report in await asyncio.wait_for(asyncio.gather(*sent), 1))
        assert publisher.in_flight == 0


async def test_closing_waits_for_what_is_on_its_way(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        sent = [hand_over(publisher) for _ in range(100)]
        await publisher.close(10)
        assert await asyncio.gather(*sent) == [None] * 100


async def test_a_closed_publisher_takes_nothing(embedded_kafka: str) -> None:
    async with publishing(embedded_kafka) as publisher:
        await publisher.close(1)
        with pytest.raises(RuntimeError, match="not running"):
            hand_over(publisher)


async def test_after_a_fatal_error_a_new_producer_goes_on(embedded_kafka: str) -> None:
    made: list[dict[str, Any]] = []

    def remembering(config: dict[str, Any]) -> Producer:
        made.append(config)
        return Producer(config)

    async with publishing(embedded_kafka, make=remembering) as publisher:
        assert await hand_over(publisher) is None
        made[0]["error_cb"](KafkaError(KafkaError._FATAL, "sequence lost", fatal=True))
        await asyncio.to_thread(wait_until, lambda: len(made) == 2, 5, "another producer")
        assert await hand_over(publisher) is None


async def test_a_broker_that_is_away_is_said_to_be() -> None:
    async with publishing(closed_port()) as publisher:
        with pytest.raises(BrokerAway, match=r"0\.2 s"):
            await asyncio.to_thread(publisher.ask_broker, 0.2)
