"""Replaying dead letters on a real broker: letter and mark together, and one replay at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from notifystream.letters import REPLAYED, LetterId
from notifystream.replaying import Replayer, ReplayFailed
from notifystream.topic_apply import apply
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter, NotifyRequest
from schemas.topics import Topic, load_topics
from tests import servers
from tests.ingress.topic import TopicReader
from tests.kafka.broker import KafkaHandle

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

KEY = "replayed-on-a-real-broker"


@pytest.fixture
def reader(real_kafka: KafkaHandle, tmp_path: Path) -> Iterator[TopicReader]:
    with (
        servers.running("sandbox.registry", log=tmp_path / "registry.log") as registry,
        TopicReader(real_kafka.bootstrap, registry.address) as reading,
    ):
        # As every test on this broker wants them.
        apply(AdminClient({"bootstrap.servers": real_kafka.bootstrap}), registry.address, load_topics())
        yield reading


def letter(codec: Codec) -> DeadLetter:
    # To nobody: other tests run the pipeline on this broker, and count what it sends.
    request = NotifyRequest(tenant="acme", idempotency_key=KEY, recipient="nobody", body="hello")
    value = codec.encode(Topic.NOTIFY_REQUESTED, request)
    return DeadLetter(
        stage="streams.intake",
        reason="unknown-schema",
        detail="",
        topic=Topic.NOTIFY_REQUESTED,
        partition=0,
        offset=1,
        key=KEY.encode(),
        value=value,
        at=1_790_000_000_000,
    )


def test_of_two_replays_the_older_is_stopped_and_what_the_newer_writes_is_there_with_its_mark(
    real_kafka: KafkaHandle, reader: TopicReader
) -> None:
    kafka = Kafka(bootstrap_servers=real_kafka.bootstrap)
    mine = [(LetterId(0, 1), letter(reader.codec))]

    def requests() -> list[tuple[str, NotifyRequest]]:
        return reader.all(Topic.NOTIFY_REQUESTED, NotifyRequest, only={KEY})

    def marks() -> list[DeadLetter]:
        found = reader.all(Topic.DEAD_LETTERS, DeadLetter, only={f"{Topic.NOTIFY_REQUESTED}-0"})
        return [each for _, each in found if each.stage == REPLAYED]

    with Replayer(kafka, reader.codec) as older, Replayer(kafka, reader.codec) as newer:
        with pytest.raises(ReplayFailed, match="another replay was started"):
            older.replay(mine, 1_790_000_000_001)
        assert (requests(), marks()) == ([], [])
        newer.replay(mine, 1_790_000_000_002)
    assert [request.idempotency_key for _, request in requests()] == [KEY]
    assert [(mark.key, mark.at) for mark in marks()] == [(b"0@1", 1_790_000_000_002)]
