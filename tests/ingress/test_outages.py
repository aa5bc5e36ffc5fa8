"""With registry or broker away nothing unkept is answered 2xx, nothing ends, and all comes back by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ingress.accepted import RECORDS
from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests import servers
from tests.ingress.closed_port import closed_port
from tests.ingress.outages import STATUS, ingress_on, make_topics, options, ready, status_code
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import new_sid, post, status_form
from tests.kafka.broker import KafkaHandle
from tests.waiting import wait_until


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    """An embedded broker for one test: each has another registry, whose ids mean something else."""
    topics = [option for topic in RECORDS for option in ("--topic", topic)]
    with servers.running("sandbox.broker", *topics, log=tmp_path / "kafka") as server:
        yield server.address


@pytest.fixture
def broker(real_kafka: KafkaHandle) -> KafkaHandle:
    make_topics(real_kafka)
    return real_kafka


def test_without_a_registry_it_answers_503_and_goes_on_when_the_registry_comes(
    kafka: str, tmp_path: Path
) -> None:
    address = closed_port()
    with ExitStack() as stack:
        client = stack.enter_context(ingress_on(kafka, f"http://{address}", tmp_path / "ingress"))
        refused = post(client, STATUS, status_form(new_sid()))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        wait_until(lambda: "RegistryUnavailable" in str(ready(client)[1]["registry"]), 30, "the reason")
        assert ready(client)[0] == 503
        assert client.get("/healthz").status_code == 200
        port = address.rpartition(":")[2]
        stack.enter_context(servers.running("sandbox.registry", "--port", port, log=tmp_path / "registry"))
        wait_until(lambda: ready(client)[0] == 200, 30, "the ingress to be ready")
        assert status_code(client) == 204


def test_without_a_registry_it_goes_on_with_the_ids_it_had_before_its_restart(
    kafka: str, tmp_path: Path
) -> None:
    with servers.running("sandbox.registry", log=tmp_path / "registry") as registry:
        with ingress_on(kafka, registry.address, tmp_path / "ingress") as client:
            wait_until(lambda: ready(client)[0] == 200, 30, "the schemas to be registered")
        os.kill(registry.pid, signal.SIGKILL)
        with ingress_on(kafka, registry.address, tmp_path / "ingress") as client:
            wait_until(lambda: status_code(client) == 204, 30, "a webhook to be kept")
            code, state = ready(client)
            assert (code, state["ready"]) == (200, True)
            assert "RegistryUnavailable" in state["registry"]


def test_without_a_broker_webhooks_are_kept_in_the_journal_and_it_stays_ready(
    registry: str, tmp_path: Path
) -> None:
    with ingress_on(closed_port(), registry, tmp_path / "ingress") as client:
        wait_until(lambda: ready(client)[0] == 200, 30, "the schemas to be registered")
        assert [status_code(client) for _ in range(3)] == [204] * 3

        def anew() -> tuple[int, dict[str, Any]] | None:
            code, state = ready(client)
            return (code, state) if state["journal"]["entries"] == 3 else None

        code, state = wait_until(anew, 10, "the check to be made anew") or (0, {})
        assert (code, state["ready"], state["journal"]["trouble"]) == (200, True, None)
        assert "no Kafka broker answered" in state["broker"]
        assert 'ingress_requests_total{result="journaled",route="status"} 3.0' in client.get("/metrics").text


def test_what_was_kept_without_a_broker_is_written_when_one_comes_after_a_restart(
    kafka: str, registry: str, tmp_path: Path
) -> None:
    sids = [new_sid() for _ in range(20)]
    with ingress_on(closed_port(), registry, tmp_path / "ingress") as client:
        wait_until(lambda: ready(client)[0] == 200, 30, "the schemas to be registered")
        assert {status_code(client, sid) for sid in sids} == {204}
    with ingress_on(kafka, registry, tmp_path / "ingress") as client:
        wait_until(lambda: ready(client)[1]["journal"]["entries"] == 0, 30, "the journal to be drained")
    with TopicReader(kafka, registry) as reader:
        assert {record.message_sid for _, record in reader.all(Topic.STATUS, ProviderStatus)} == set(sids)


def test_a_registry_that_goes_away_later_stops_no_webhook(kafka: str, tmp_path: Path) -> None:
    with (
        servers.running("sandbox.registry", log=tmp_path / "registry") as registry,
        ingress_on(kafka, registry.address, tmp_path / "ingress") as client,
    ):
        wait_until(lambda: status_code(client) == 204, 30, "the first webhook to be kept")
        os.kill(registry.pid, signal.SIGKILL)
        wait_until(lambda: not _answers(registry.address), 10, "the registry to be gone")
        assert (status_code(client), ready(client)[0]) == (204, 200)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/subjects", timeout=5).is_success
    except httpx2.TransportError:
        return False


def test_a_registry_that_refuses_the_schema_is_named_and_asked_again(kafka: str, tmp_path: Path) -> None:
    with servers.running("sandbox.registry", log=tmp_path / "registry") as registry:
        other = {"schemaType": "AVRO", "schema": '{"type":"record","name":"Other","fields":[]}'}
        subject = f"{registry.address}/subjects/{Topic.STATUS}-value"
        assert httpx2.post(f"{subject}/versions", json=other).status_code == 200
        with ingress_on(kafka, registry.address, tmp_path / "ingress") as client:
            wait_until(lambda: "409" in str(ready(client)[1]["registry"]), 30, "the refusal to be told")
            assert (status_code(client), ready(client)[0]) == (503, 503)
            assert httpx2.delete(subject).status_code == 200
            wait_until(lambda: status_code(client) == 204, 30, "the schema to be accepted")


@pytest.mark.broker
def test_at_its_end_the_ingress_keeps_and_answers_what_it_has_taken(
    broker: KafkaHandle, registry: str, tmp_path: Path
) -> None:
    journal, sid = tmp_path / "ingress", new_sid()
    with (
        servers.running(
            "tests.ingress.serve", *options(broker.bootstrap, registry, journal), log=tmp_path / "log"
        ) as server,
        httpx2.Client(base_url=server.address, timeout=20) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: status_code(client) == 204, 30, "the first webhook to be kept")
        broker.pause()
        in_flight = "ingress_records_in_flight 1.0"
        with httpx2.Client(base_url=server.address, timeout=20) as looking:
            taken = pool.submit(status_code, client, sid)
            wait_until(lambda: in_flight in looking.get("/metrics").text, 10, "the webhook to be taken")
        os.kill(server.pid, signal.SIGTERM)
        assert taken.result() == 204
    broker.resume()
    with ingress_on(broker.bootstrap, registry, journal) as client:
        wait_until(lambda: ready(client)[1]["journal"]["entries"] == 0, 30, "the journal to be drained")
    with TopicReader(broker.bootstrap, registry) as reader:
        assert {key for key, _ in reader.all(Topic.STATUS, ProviderStatus, {sid})} == {sid}
