"""With registry or broker away nothing is answered 2xx, nothing ends, and all comes back by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from ingress.accepted import RECORDS
from schemas.records import ProviderStatus
from schemas.topics import Topic, load_topics
from tests import servers
from tests.ingress.closed_port import closed_port
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import new_sid, post, status_form
from tests.kafka.broker import KafkaHandle
from tests.waiting import wait_until

STATUS = "/twilio/status"
DEADLINE_S = 2.0
# On a shared machine an answer can be this much later than its deadline.
SLACK_S = 3.0


@contextmanager
def ingress_on(bootstrap: str, registry: str, log: Path) -> Iterator[httpx2.Client]:
    options = ["--bootstrap", bootstrap, "--registry", registry, "--ack-timeout-s", str(DEADLINE_S)]
    with (
        servers.running("tests.ingress.serve", *options, log=log) as server,
        httpx2.Client(base_url=server.address, timeout=20) as client,
    ):
        yield client


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    """An embedded broker for one test: each has another registry, whose ids mean something else."""
    topics = [option for topic in RECORDS for option in ("--topic", topic)]
    with servers.running("sandbox.broker", *topics, log=tmp_path / "kafka") as server:
        yield server.address


def status_code(client: httpx2.Client, sid: str) -> int:
    return post(client, STATUS, status_form(sid)).status_code


def test_without_a_registry_it_answers_503_and_goes_on_when_the_registry_comes(
    kafka: str, tmp_path: Path
) -> None:
    address = closed_port()
    with ExitStack() as stack:
        client = stack.enter_context(ingress_on(kafka, f"http://{address}", tmp_path / "ingress"))
        refused = post(client, STATUS, status_form(new_sid()))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert [reason.split(":")[0] for reason in unready.json()["reasons"]] == ["schema registry"]
        assert client.get("/healthz").status_code == 200
        port = address.rpartition(":")[2]
        stack.enter_context(servers.running("sandbox.registry", "--port", port, log=tmp_path / "registry"))
        wait_until(lambda: client.get("/readyz").status_code == 200, 30, "the ingress to be ready")
        assert status_code(client, new_sid()) == 204


def test_without_a_broker_it_answers_503_within_the_deadline(registry: str, tmp_path: Path) -> None:
    with ingress_on(closed_port(), registry, tmp_path / "ingress") as client:
        began = time.monotonic()
        assert status_code(client, new_sid()) == 503
        assert time.monotonic() - began < DEADLINE_S + SLACK_S
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert [reason.split(":")[0] for reason in unready.json()["reasons"]] == ["broker"]


def test_a_registry_that_goes_away_later_stops_no_webhook(kafka: str, tmp_path: Path) -> None:
    with (
        servers.running("sandbox.registry", log=tmp_path / "registry") as registry,
        ingress_on(kafka, registry.address, tmp_path / "ingress") as client,
    ):
        wait_until(lambda: status_code(client, new_sid()) == 204, 30, "the first webhook to be kept")
        os.kill(registry.pid, signal.SIGKILL)
        wait_until(lambda: client.get("/readyz").status_code == 503, 30, "the ingress to notice")
        assert status_code(client, new_sid()) == 204


def test_a_registry_that_refuses_the_schema_is_named_and_asked_again(kafka: str, tmp_path: Path) -> None:
    with servers.running("sandbox.registry", log=tmp_path / "registry") as registry:
        other = {"schemaType": "AVRO", "schema": '{"type":"record","name":"Other","fields":[]}'}
        subject = f"{registry.address}/subjects/{Topic.STATUS}-value"
        assert httpx2.post(f"{subject}/versions", json=other).status_code == 200
        with ingress_on(kafka, registry.address, tmp_path / "ingress") as client:
            wait_until(lambda: "409" in client.get("/readyz").text, 30, "the refusal to be among the reasons")
            assert status_code(client, new_sid()) == 503
            assert httpx2.delete(subject).status_code == 200
            wait_until(lambda: status_code(client, new_sid()) == 204, 30, "the schema to be accepted")


@pytest.fixture
def broker(real_kafka: KafkaHandle) -> KafkaHandle:
    """The real Kafka with the topics the ingress writes."""
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    there = admin.list_topics(timeout=20).topics
    missing = [NewTopic(topic, load_topics().partitions, 1) for topic in RECORDS if topic not in there]
    if missing:
        for made in admin.create_topics(missing).values():
            made.result(20)
    return real_kafka


@pytest.mark.broker
def test_while_the_broker_hangs_nothing_is_answered_2xx_and_everything_that_was_is_kept(
    broker: KafkaHandle, registry: str, tmp_path: Path
) -> None:
    kept: set[str] = set()

    def callback(client: httpx2.Client) -> int:
        sid = new_sid()
        answer = status_code(client, sid)
        if answer == 204:
            kept.add(sid)
        return answer

    with (
        ingress_on(broker.bootstrap, registry, tmp_path / "ingress") as client,
        ThreadPoolExecutor(16) as pool,
    ):
        wait_until(lambda: callback(client) == 204, 30, "the first webhook to be kept")
        assert {answer.result() for answer in [pool.submit(callback, client) for _ in range(200)]} == {204}

        broker.pause()
        began = time.monotonic()
        during = [pool.submit(callback, client) for _ in range(16)]
        unready = client.get("/readyz").status_code
        assert {answer.result() for answer in during} == {503}
        assert time.monotonic() - began < DEADLINE_S + SLACK_S
        assert unready == 503

        broker.resume()
        wait_until(lambda: callback(client) == 204, 30, "webhooks to be kept again")
        assert {answer.result() for answer in [pool.submit(callback, client) for _ in range(200)]} == {204}

    with TopicReader(broker.bootstrap, registry) as reader:
        in_topic = {record.message_sid for _, record in reader.all(Topic.STATUS, ProviderStatus, kept)}
    assert in_topic == kept
    assert len(kept) >= 402


@pytest.mark.broker
def test_a_broker_that_crashes_and_comes_back_loses_nothing_that_was_answered(
    broker: KafkaHandle, registry: str, tmp_path: Path
) -> None:
    answers: dict[str, int] = {}

    def callback(client: httpx2.Client) -> int:
        sid = new_sid()
        answers[sid] = status_code(client, sid)
        return answers[sid]

    with (
        ingress_on(broker.bootstrap, registry, tmp_path / "ingress") as client,
        ThreadPoolExecutor(8) as pool,
    ):
        wait_until(lambda: callback(client) == 204, 30, "the first webhook to be kept")
        running = [pool.submit(callback, client) for _ in range(400)]
        wait_until(lambda: len(answers) > 50, 30, "some answers")
        broker.kill()
        broker.restart()
        assert {answer.result() for answer in running} <= {204, 503}
        wait_until(lambda: callback(client) == 204, 30, "webhooks to be kept again")

    kept = {sid for sid, answer in answers.items() if answer == 204}
    with TopicReader(broker.bootstrap, registry) as reader:
        in_topic = {record.message_sid for _, record in reader.all(Topic.STATUS, ProviderStatus, kept)}
    assert in_topic == kept


@pytest.mark.broker
def test_at_its_end_the_ingress_answers_what_it_has_taken(
    broker: KafkaHandle, registry: str, tmp_path: Path
) -> None:
    options = ["--bootstrap", broker.bootstrap, "--registry", registry, "--ack-timeout-s", str(DEADLINE_S)]
    with (
        servers.running("tests.ingress.serve", *options, log=tmp_path / "ingress") as server,
        httpx2.Client(base_url=server.address, timeout=20) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: status_code(client, new_sid()) == 204, 30, "the first webhook to be kept")
        broker.pause()
        taken = pool.submit(status_code, client, new_sid())
        os.kill(server.pid, signal.SIGTERM)
        assert taken.result() == 503
