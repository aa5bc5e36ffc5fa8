"""The registry as confluent-kafka's own client classes see it, over HTTP."""

import http.client
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from confluent_kafka.schema_registry import AsyncSchemaRegistryClient, Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import (
    AsyncAvroDeserializer,
    AsyncAvroSerializer,
    AvroDeserializer,
    AvroSerializer,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.schema_registry_client import SchemaReference
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.servers import running
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio

FIRST = '{"type": "record", "name": "Event", "fields": [{"name": "id", "type": "string"}]}'
WITH_DEFAULT = (
    '{"type":"record","name":"Event","fields":[{"name":"id","type":"string"},'
    '{"name":"note","type":["null","string"],"default":null}]}'
)
WITHOUT_DEFAULT = (
    '{"type":"record","name":"Event","fields":[{"name":"id","type":"string"},{"name":"n","type":"int"}]}'
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("registry") / "stderr.log"
    with running("sandbox.registry", log=log) as server:
        yield server.address


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as client:
        yield client


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> str:
    """A subject no other test uses."""
    return f"{request.node.name}-value"


def avro(text: str) -> Schema:
    return Schema(text, "AVRO")


def call(url: str, method: str, path: str, body: object = None) -> tuple[int, object]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def refused(raised: pytest.ExceptionInfo[SchemaRegistryError]) -> tuple[int, int]:
    return raised.value.http_status_code, raised.value.error_code


def test_what_a_serializer_writes_a_deserializer_of_another_client_reads(
    url: str, client: SchemaRegistryClient
) -> None:
    context = SerializationContext("round.trip", MessageField.VALUE)
    written = AvroSerializer(client, FIRST)({"id": "a"}, context)
    assert written is not None
    with SchemaRegistryClient({"url": url}) as reader:
        assert AvroDeserializer(reader)(written, context) == {"id": "a"}
        assert AvroDeserializer(reader, WITH_DEFAULT)(written, context) == {"id": "a", "note": None}


async def test_the_async_classes_round_trip_too(url: str) -> None:
    context = SerializationContext("async.trip", MessageField.VALUE)
    async with AsyncSchemaRegistryClient({"url": url}) as client:
        serializer = await AsyncAvroSerializer(client, FIRST)
        written = await serializer({"id": "a"}, context)
        deserializer = await AsyncAvroDeserializer(client)
        assert await deserializer(written, context) == {"id": "a"}


def test_the_same_schema_has_one_id_in_every_subject_and_for_every_client(
    url: str, client: SchemaRegistryClient, subject: str
) -> None:
    respaced = json.dumps(json.loads(FIRST), indent=4)
    first = client.register_schema(subject, avro(FIRST))
    with SchemaRegistryClient({"url": url}) as other:
        assert other.register_schema(f"{subject}-too", avro(respaced)) == first
    assert client.get_versions(subject) == [1]
    uses = {(use.subject, use.version) for use in client.get_schema_versions(first)}
    assert {(subject, 1), (f"{subject}-too", 1)} <= uses


def test_registering_again_gives_no_new_version(url: str, client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    with SchemaRegistryClient({"url": url}) as other:
        other.register_schema(subject, avro(FIRST))
    assert client.get_versions(subject) == [1]


def test_a_compatible_change_becomes_the_latest_version(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    schema_id = client.register_schema(subject, avro(WITH_DEFAULT))
    latest = client.get_latest_version(subject)
    assert (latest.version, latest.schema_id) == (2, schema_id)
    assert json.loads(latest.schema.schema_str) == json.loads(WITH_DEFAULT)


def test_an_incompatible_change_is_refused_and_leaves_no_version(
    client: SchemaRegistryClient, subject: str
) -> None:
    client.register_schema(subject, avro(FIRST))
    with pytest.raises(SchemaRegistryError) as raised:
        client.register_schema(subject, avro(WITHOUT_DEFAULT))
    assert refused(raised) == (409, 409)
    assert "reader_field_missing_default_value" in str(raised.value)
    assert "/fields/1" in str(raised.value)
    assert client.get_versions(subject) == [1]


def test_compatibility_can_be_asked_before_registering(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    assert client.test_compatibility(subject, avro(WITH_DEFAULT))
    assert not client.test_compatibility(subject, avro(WITHOUT_DEFAULT))
    assert not client.test_compatibility(subject, avro(WITHOUT_DEFAULT), version=1)
    assert not client.test_compatibility_all_versions(subject, avro(WITHOUT_DEFAULT))


def test_a_verbose_compatibility_check_says_why(url: str, client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    path = f"/compatibility/subjects/{subject}/versions/latest"
    body = {"schema": WITHOUT_DEFAULT}
    assert call(url, "POST", path, body) == (200, {"is_compatible": False})
    status, answer = call(url, "POST", f"{path}?verbose=true", body)
    assert status == 200
    assert isinstance(answer, dict)
    assert "cannot read data written with version 1" in answer["messages"][0]


def test_anything_is_compatible_with_a_subject_that_has_no_versions(
    client: SchemaRegistryClient, subject: str
) -> None:
    assert client.test_compatibility(subject, avro(FIRST))


def test_a_subject_with_its_own_level_is_judged_by_it(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    client.set_compatibility(subject, "none")
    assert client.get_compatibility(subject) == "NONE"
    client.register_schema(subject, avro(WITHOUT_DEFAULT))
    client.delete_config(subject)
    with pytest.raises(SchemaRegistryError) as raised:
        client.get_compatibility(subject)
    assert refused(raised) == (404, 40408)


def test_backward_is_the_level_of_all_others(client: SchemaRegistryClient) -> None:
    assert client.get_compatibility() == "BACKWARD"


def test_a_schema_is_found_by_its_id_and_by_its_text(client: SchemaRegistryClient, subject: str) -> None:
    schema_id = client.register_schema(subject, avro(FIRST))
    client.clear_caches()
    assert json.loads(client.get_schema(schema_id, subject).schema_str or "") == json.loads(FIRST)
    client.clear_caches()
    found = client.lookup_schema(subject, avro(FIRST))
    assert (found.schema_id, found.version, found.subject) == (schema_id, 1, subject)


def test_normalised_registration_ignores_the_order_of_attributes(
    client: SchemaRegistryClient, subject: str
) -> None:
    turned = '{"fields":[{"type":"string","name":"id"}],"name":"Event","type":"record"}'
    first = client.register_schema(subject, avro(FIRST), normalize_schemas=True)
    client.clear_caches()
    assert client.register_schema(subject, avro(turned), normalize_schemas=True) == first


def test_a_subject_may_be_named_like_a_path(client: SchemaRegistryClient) -> None:
    name = "eu/orders v1-value"
    client.register_schema(name, avro(FIRST))
    assert client.get_latest_version(name).version == 1
    assert name in client.get_subjects()


def test_a_schema_may_use_the_types_of_another_subject(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(f"{subject}-money", avro('{"type":"fixed","name":"Money","size":8}'))
    bill = '{"type":"record","name":"Bill","fields":[{"name":"sum","type":"Money"}]}'
    reference = SchemaReference("Money", f"{subject}-money", 1)
    schema_id = client.register_schema(subject, Schema(bill, "AVRO", [reference]))
    assert client.get_referenced_by(f"{subject}-money", 1) == [schema_id]
    with pytest.raises(SchemaRegistryError) as raised:
        client.delete_subject(f"{subject}-money")
    assert refused(raised) == (422, 42206)


def test_a_deleted_version_is_hidden_and_only_then_gone(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    client.register_schema(subject, avro(WITH_DEFAULT))
    with pytest.raises(SchemaRegistryError) as raised:
        client.delete_version(subject, 1, permanent=True)
    assert refused(raised) == (404, 40407)
    assert client.delete_version(subject, 1) == 1
    assert client.get_versions(subject) == [2]
    assert client.get_versions(subject, deleted=True) == [1, 2]
    with pytest.raises(SchemaRegistryError) as raised:
        client.delete_version(subject, 1)
    assert refused(raised) == (404, 40406)
    assert client.delete_version(subject, 1, permanent=True) == 1
    assert client.get_versions(subject, deleted=True) == [2]


def test_a_deleted_subject_is_hidden_and_only_then_gone(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    with pytest.raises(SchemaRegistryError) as raised:
        client.delete_subject(subject, permanent=True)
    assert refused(raised) == (404, 40405)
    assert client.delete_subject(subject) == [1]
    assert subject not in client.get_subjects()
    assert subject in client.get_subjects(deleted=True)
    with pytest.raises(SchemaRegistryError) as raised:
        client.delete_subject(subject)
    assert refused(raised) == (404, 40404)
    assert client.delete_subject(subject, permanent=True) == [1]
    assert subject not in client.get_subjects(deleted=True)


def test_a_read_only_subject_takes_nothing_new(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, avro(FIRST))
    client.update_mode(subject, "READONLY")
    with pytest.raises(SchemaRegistryError) as raised:
        client.register_schema(subject, avro(WITH_DEFAULT))
    assert refused(raised) == (422, 42205)
    assert client.get_mode(subject) == "READONLY"
    assert client.get_global_mode() == "READWRITE"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/subjects/nobody/versions", None, 404, 40401),
        ("GET", "/subjects/nobody/versions/latest", None, 404, 40401),
        ("POST", "/subjects/nobody", {"schema": FIRST}, 404, 40401),
        ("GET", "/subjects/known/versions/7", None, 404, 40402),
        ("GET", "/subjects/known/versions/0", None, 422, 42202),
        ("GET", "/subjects/known/versions/first", None, 422, 42202),
        ("POST", "/subjects/known", {"schema": WITHOUT_DEFAULT}, 404, 40403),
        ("GET", "/schemas/ids/4711", None, 404, 40403),
        ("GET", "/schemas/ids/4711/versions", None, 404, 40403),
        ("POST", "/subjects/known/versions", {"schema": '{"type":"recor"}'}, 422, 42201),
        ("POST", "/subjects/known/versions", {"schema": "{"}, 422, 42201),
        ("POST", "/subjects/known/versions", {"schema": '{"type":"record","name":"X"}'}, 422, 42201),
        ("POST", "/subjects/known/versions", {"schema": "{}", "schemaType": "JSON"}, 422, 42201),
        ("POST", "/subjects/known/versions", {"schema": FIRST, "ruleSet": {}}, 422, 42201),
        ("POST", "/subjects/known/versions", {"schema": 1}, 422, 422),
        ("POST", "/compatibility/subjects/known/versions/7", {"schema": FIRST}, 404, 40402),
        ("PUT", "/config/known", {"compatibility": "SOMETIMES"}, 422, 42203),
        ("PUT", "/mode/known", {"mode": "IMPORT"}, 422, 42204),
        ("GET", "/mode/known", None, 404, 40409),
        ("GET", "/nothing/here", None, 404, 404),
        ("PATCH", "/subjects", None, 405, 405),
    ],
)
def test_a_refusal_has_confluents_status_and_code(
    url: str, client: SchemaRegistryClient, method: str, path: str, body: object, status: int, code: int
) -> None:
    client.register_schema("known", avro(FIRST))
    answered, error = call(url, method, path, body)
    assert isinstance(error, dict)
    assert (answered, error["error_code"]) == (status, code)
    assert error["message"]


def test_only_avro_is_spoken(client: SchemaRegistryClient) -> None:
    assert client.get_schema_types() == ["AVRO"]


def test_everything_survives_a_kill_with_9_when_kept_in_a_file(tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "deep" / "registry.jsonl"))
    with running("sandbox.registry", *options, log=tmp_path / "log") as server:
        with SchemaRegistryClient({"url": server.address}) as client:
            first = client.register_schema("gone-value", avro('"string"'))
            client.delete_subject("gone-value")
            second = client.register_schema("kept-value", avro(FIRST))
            client.set_compatibility("kept-value", "FULL")
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not _listens(server.address), 20, "the end of the registry")
    with (
        running("sandbox.registry", *options, log=tmp_path / "log") as server,
        SchemaRegistryClient({"url": server.address}) as client,
    ):
        assert client.get_subjects() == ["kept-value"]
        assert client.get_compatibility("kept-value") == "FULL"
        assert client.register_schema("kept-value", avro(FIRST)) == second
        assert client.register_schema("new-value", avro('"string"')) == first


def _listens(url: str) -> bool:
    try:
        call(url, "GET", "/subjects")
    except ConnectionError:
        return False
    return True
