"""`show` over the embedded broker: the processors' row found by id or key, and what is said without it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.clients import Kafka
from schemas.topics import Topic
from streams.delivery.row import NotificationRow
from streams.store.rows import RowCodec
from tests import servers
from tests.console.command_line import Ran, run
from tests.streams.builders import KEY, NID, RECIPIENT, TENANT, Story, accepted, callback

CODEC = RowCodec(NotificationRow, lambda row: row.due_at)
OTHER = "00000000-0000-5000-8000-000000000000"


def delivered() -> Story:
    story = accepted()
    story.feed(callback("sent"), callback("delivered"))
    return story


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A broker whose changelog has an old and the latest row of one notification."""
    topics = ("--topic", Topic.NOTIFICATIONS_CHANGELOG.value)
    log = tmp_path_factory.mktemp("broker") / "broker.log"
    with servers.running("sandbox.broker", *topics, log=log) as broker:
        producer = Producer(Kafka(bootstrap_servers=broker.address).producer("tests", linger_ms=0))
        for story in (accepted(), delivered()):
            producer.produce(Topic.NOTIFICATIONS_CHANGELOG, CODEC.encode(story.row), NID.encode())
        producer.produce(Topic.NOTIFICATIONS_CHANGELOG, b"\xffnone of ours", OTHER.encode())
        assert producer.flush(10) == 0
        producer.close()
        yield {"KAFKA_BOOTSTRAP_SERVERS": broker.address}


def show(env: Mapping[str, str], folder: Path, *arguments: str) -> Ran:
    return run("show", *arguments, folder=folder, env=env)


def test_a_notification_is_found_by_its_id_and_by_its_key(env: Mapping[str, str], tmp_path: Path) -> None:
    by_id = show(env, tmp_path, NID, "--json")
    by_key = show(env, tmp_path, "--tenant", TENANT, "--key", KEY, "--json")
    assert by_id.code == by_key.code == 0, by_id.stderr
    assert by_id.stdout == by_key.stdout
    now = json.loads(by_id.stdout)["now"]
    assert (now["state"], now["final"], now["attempts"][0]["status"]) == ("delivered", True, "delivered")


def test_people_read_where_it_stands_and_no_number(env: Mapping[str, str], tmp_path: Path) -> None:
    ran = show(env, tmp_path, NID)
    assert "delivered by sms at" in ran.stdout
    assert "attempt 1" in ran.stdout
    assert RECIPIENT[1:] not in ran.stdout
    assert "CLICKHOUSE_URL is not set: no history" in ran.stderr


def test_one_that_the_processors_do_not_have_is_looked_for_in_clickhouse(
    env: Mapping[str, str], tmp_path: Path
) -> None:
    ran = show(env, tmp_path, "--tenant", TENANT, "--key", "nobody")
    assert (ran.code, "CLICKHOUSE_URL is not set" in ran.stderr) == (2, True)


def test_a_row_of_another_release_is_said_and_no_traceback(env: Mapping[str, str], tmp_path: Path) -> None:
    ran = show(env, tmp_path, OTHER)
    assert "a NotificationRow of version 255" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_neither_an_id_nor_a_key_is_refused(tmp_path: Path) -> None:
    assert show({}, tmp_path).code == 2
    assert show({}, tmp_path, NID, "--tenant", TENANT).code == 2
