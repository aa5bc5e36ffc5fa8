"""The carriers process in this process, on the servers of the analytics tests and a carrier simulator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.topics import Topic
from sinks.carriers.config import CarriersConfig, LookupConfig
from sinks.carriers.worker import run
from sinks.outbound.config import TwilioAccount
from tests.analytics.world import KEY, PARTITIONS, WAIT_S, World
from tests.waiting import wait_until


def config(around: World, group: str, account: TwilioAccount | None = None, **changes: Any) -> CarriersConfig:
    if account is not None:
        per_month = changes.pop("lookups_per_month", 1000)
        changes["lookups"] = LookupConfig(account=account, lookups_per_month=per_month, lookups_per_s=100.0)
    return CarriersConfig(
        **{
            "kafka": around.kafka,
            "schema_registry_url": around.registry_url,
            "clickhouse_url": around.clickhouse.url,
            "pii_hash_key": KEY,
            "group": group,
            **changes,
        }
    )


@contextmanager
def carrying(chosen: CarriersConfig, now_ms: Callable[[], int] | None = None) -> Iterator[None]:
    """A carriers process in a thread, from ready to ended; its error, if any, is raised here."""
    stop, ready = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            clock = () if now_ms is None else (now_ms,)
            run(chosen, lambda _: ready.set(), stop, *clock)
        except BaseException as error:
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(WAIT_S), "the carriers process did not become ready"
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)
        if errors:
            raise errors[0]
        assert not thread.is_alive(), "the carriers process did not end"


def begin_at_end(around: World, group: str) -> None:
    """Let a new group begin after what other tests have written."""
    with _member(around, group) as consumer:
        consumer.commit(offsets=_ends(consumer), asynchronous=False)


def wait_until_passed(around: World, group: str) -> None:
    """Until the group has committed all requests there are."""
    with _member(around, group) as consumer:
        ends = [end for end in _ends(consumer) if end.offset > 0]

        def passed() -> bool:
            asked = [TopicPartition(end.topic, end.partition) for end in ends]
            return [one.offset for one in consumer.committed(asked, timeout=10)] == [
                end.offset for end in ends
            ]

        wait_until(passed, WAIT_S, "all requests to be passed")


@contextmanager
def _member(around: World, group: str) -> Iterator[Consumer]:
    """A consumer that never joins: it only asks for offsets, or sets them."""
    consumer = Consumer(around.kafka.consumer("test", group))
    try:
        yield consumer
    finally:
        consumer.close()


def _ends(consumer: Consumer) -> list[TopicPartition]:
    partitions = [TopicPartition(Topic.REQUESTS.value, number) for number in range(PARTITIONS)]
    return [
        TopicPartition(one.topic, one.partition, consumer.get_watermark_offsets(one, timeout=10)[1])
        for one in partitions
    ]
