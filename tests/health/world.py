"""ClickHouse, broker and registry around route health, and messages to look at."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import RouteHealth
from schemas.topics import Topic
from sinks.analytics.clickhouse import connect
from sinks.analytics.migrate import migrate
from sinks.analytics.tables import MessageRow
from sinks.health.book import Book
from sinks.health.config import HealthConfig
from sinks.health.worker import run
from tests import servers
from tests.analytics.world import ClickHouse

WAIT_S = 60.0


def message(number: int, taken_at: int, **changes: Any) -> MessageRow:
    """An attempt the provider took at this time and delivered a second later."""
    values: dict[str, Any] = dict.fromkeys(MessageRow._fields, "") | {
        "notification_id": f"{changes.get('tenant', 'acme')}-{number}",
        "attempt": 1,
        "version": 1,
        "tenant": "acme",
        "channel": "sms",
        "sender": "+14155550100",
        "status": "delivered",
        "error_code": 0,
        "segments": 1,
        "country": "DE",
        "carrier": "Telekom",
        "requested_at": taken_at - 2_000,
        "commanded_at": taken_at - 1_000,
        "accepted_at": taken_at,
        "sent_at": taken_at + 500,
        "delivered_at": taken_at + 1_000,
        "ended_at": taken_at + 1_000,
        "updated_at": taken_at + 1_000,
    }
    return MessageRow(**(values | changes))


def failed(number: int, taken_at: int, code: int = 30007, **changes: Any) -> MessageRow:
    return message(
        number,
        taken_at,
        **{
            "status": "undelivered",
            "error_code": code,
            "error_class": "filtered",
            "delivered_at": None,
            **changes,
        },
    )


def silent(number: int, taken_at: int, **changes: Any) -> MessageRow:
    return message(number, taken_at, **{"status": "sent", "delivered_at": None, "ended_at": None, **changes})


def land(url: str, rows: Sequence[MessageRow]) -> None:
    with closing(connect(url)) as client:
        client.insert("messages", [list(row) for row in rows], column_names=list(MessageRow._fields))


@dataclass(frozen=True, slots=True)
class World:
    kafka: Kafka
    registry_url: str
    clickhouse: ClickHouse
    codec: Codec

    def config(self, **changes: Any) -> HealthConfig:
        return HealthConfig(
            **{
                "kafka": self.kafka,
                "schema_registry_url": self.registry_url,
                "clickhouse_url": self.clickhouse.url,
                "every_ms": 500,
                **changes,
            }
        )

    def told(self) -> dict[str, RouteHealth]:
        """The last record of every route, by its tenant."""
        with closing(Book(self.kafka, self.codec)) as book:
            return {each.tenant: each for each in book.remembered().values()}


@contextmanager
def world(directory: Path) -> Iterator[World]:
    with ExitStack() as stack:
        broker = stack.enter_context(
            servers.running("sandbox.broker", "--topic", Topic.ROUTE_HEALTH, log=directory / "broker.log")
        )
        registry = stack.enter_context(servers.running("sandbox.registry", log=directory / "registry.log"))
        clickhouse = ClickHouse(directory)
        clickhouse.start()
        stack.callback(clickhouse.stop)
        migrate(clickhouse.url)
        codec = stack.enter_context(closing(Codec(registry.address)))
        yield World(Kafka(bootstrap_servers=broker.address), registry.address, clickhouse, codec)


@contextmanager
def watching(config: HealthConfig, processes: int = 1) -> Iterator[list[str]]:
    """Processes of route health, each in a thread, from ready to ended: what they say they do."""
    stop = threading.Event()
    ready = threading.Semaphore(0)
    said: list[str] = []
    errors: list[BaseException] = []

    def is_ready(what: str) -> None:
        said.append(what)
        ready.release()

    def work() -> None:
        try:
            run(config, is_ready, stop)
        except BaseException as error:
            errors.append(error)
            ready.release()

    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert ready.acquire(timeout=WAIT_S), "it did not become ready"
        yield sorted(said)
    finally:
        stop.set()
        for thread in threads:
            thread.join(WAIT_S)
        if errors:
            raise errors[0]
        assert not any(thread.is_alive() for thread in threads), "it did not end"
