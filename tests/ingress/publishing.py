"""A publisher for one test, and records handed to it whose reports can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Producer

from ingress.publisher import Delivery, Publisher
from schemas.clients import Kafka

TOPIC = "publisher.tests"
CLOSE_S = 0.5


@asynccontextmanager
async def publishing(
    bootstrap: str,
    *,
    on_outage: Callable[[str], None] = lambda why: None,
    make: Callable[[dict[str, Any]], Producer] = Producer,
) -> AsyncIterator[Publisher]:
    publisher = Publisher(Kafka(bootstrap_servers=bootstrap), on_outage=on_outage, make=make)
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close(CLOSE_S)


def hand_over(publisher: Publisher, value: bytes = b"v", key: str = "k") -> asyncio.Future[str | None]:
    """The future is the report: None when the broker has it, else what went wrong."""
    report: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    publisher.publish(Delivery(TOPIC, key, value, lambda delivery: report.set_result(delivery.error)))
    return report
