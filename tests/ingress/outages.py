"""What tests of outages share: an ingress with a journal of its own, and the real Kafka with its topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from confluent_kafka.admin import AdminClient, NewTopic

from ingress.accepted import RECORDS
from schemas.topics import load_topics
from tests import servers
from tests.ingress.twilio_side import new_sid, post, status_form
from tests.kafka.broker import KafkaHandle

STATUS = "/twilio/status"
ACK_TIMEOUT_S = 2.0


def options(bootstrap: str, registry: str, journal: Path, *more: str) -> tuple[str, ...]:
    """Of `tests.ingress.serve`."""
    known = {
        "--bootstrap": bootstrap,
        "--registry": registry,
        "--journal": str(journal),
        "--ack-timeout-s": str(ACK_TIMEOUT_S),
    }
    return (*(word for pair in known.items() for word in pair), *more)


@contextmanager
def ingress_on(bootstrap: str, registry: str, directory: Path) -> Iterator[httpx2.Client]:
    """A client of an ingress whose journal is in `directory`, and its log beside it."""
    given = options(bootstrap, registry, directory)
    with (
        servers.running("tests.ingress.serve", *given, log=directory.with_suffix(".log")) as server,
        httpx2.Client(base_url=server.address, timeout=20) as client,
    ):
        yield client


def status_code(client: httpx2.Client, sid: str | None = None) -> int:
    """The answer to a genuine status callback."""
    return post(client, STATUS, status_form(sid or new_sid())).status_code


def ready(client: httpx2.Client) -> tuple[int, dict[str, Any]]:
    """What /readyz says."""
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def make_topics(kafka: KafkaHandle) -> None:
    """The topics the ingress writes, on a real broker, as topics.yaml has them."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    there = admin.list_topics(timeout=20).topics
    catalog = load_topics()
    missing = [
        NewTopic(topic, catalog.partitions, 1, config=catalog.topics[topic].broker_config(1))
        for topic in RECORDS
        if topic not in there
    ]
    if missing:
        for made in admin.create_topics(missing).values():
            made.result(20)
