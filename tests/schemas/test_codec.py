"""What the codec says about bytes it cannot read, and about a registry it cannot reach."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, WireError
from schemas.records import NotificationOutcome, TimerTick
from tests.schemas.test_examples import example
from tests.servers import running

TICK = TimerTick(notification_id="n-1", due_at=1_000, fired_at=1_003)
TOPIC = "notification.timers"


def reason(codec: Codec, value: bytes | None) -> str:
    with pytest.raises(WireError) as raised:
        codec.decode(value, TimerTick)
    return raised.value.reason


def with_id(schema_id: int, body: bytes = b"") -> bytes:
    return struct.pack(">bI", 0, schema_id) + body


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\x00", b"\x00\x00\x00\x00", b'{"notification_id": "n"}', b"\x01\x00\x00\x00\x01abc"],
    ids=["tombstone", "empty", "one-byte", "half-a-prefix", "json", "other-magic"],
)
def test_bytes_without_the_wire_format_are_not_avro(codec: Codec, value: bytes | None) -> None:
    assert reason(codec, value) == "not-avro"


def test_a_schema_the_registry_does_not_know_is_named(codec: Codec) -> None:
    with pytest.raises(WireError, match="987654") as raised:
        codec.decode(with_id(987_654, b"abc"), TimerTick)
    assert raised.value.reason == "unknown-schema"


def test_another_record_of_ours_is_the_wrong_schema(codec: Codec) -> None:
    value = codec.encode("notification.outcomes", example("notification_outcome"))
    assert reason(codec, value) == "wrong-schema"


@pytest.mark.parametrize(
    "schema", ['"string"', '["null", "string"]', '{"type": "enum", "name": "E", "symbols": ["A"]}']
)
def test_a_schema_that_is_no_record_is_the_wrong_schema(
    codec: Codec, registry_client: SchemaRegistryClient, schema: str
) -> None:
    schema_id = registry_client.register_schema(f"{uuid.uuid4().hex}-value", Schema(schema, "AVRO"))
    assert reason(codec, with_id(schema_id, b"\x02a")) == "wrong-schema"


def test_a_record_of_the_same_name_with_other_fields_is_corrupt(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    other = (
        '{"type":"record","name":"TimerTick","namespace":"notifystream","fields":[{"name":"x","type":"int"}]}'
    )
    schema_id = registry_client.register_schema(f"{uuid.uuid4().hex}-value", Schema(other, "AVRO"))
    assert reason(codec, with_id(schema_id, b"\x02")) == "corrupt"


def test_every_truncation_is_noticed(codec: Codec) -> None:
    whole = codec.encode(TOPIC, TICK)
    assert {reason(codec, whole[:length]) for length in range(5, len(whole))} == {"corrupt"}


def test_a_word_outside_the_vocabulary_is_corrupt_and_named(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    written = codec.encode("notification.outcomes", example("notification_outcome"))
    with pytest.raises(WireError, match="vanished") as raised:
        codec.decode(written.replace(b"\x16undelivered", b"\x10vanished", 1), NotificationOutcome)
    assert raised.value.reason == "corrupt"


@given(body=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_a_record_or_a_wire_error_and_nothing_else(codec: Codec, body: bytes) -> None:
    schema_id = codec.register("notification.outcomes", NotificationOutcome)
    read: NotificationOutcome | str
    try:
        read = codec.decode(with_id(schema_id, body), NotificationOutcome)
    except WireError as refused:
        read = refused.reason
    assert isinstance(read, NotificationOutcome) or read == "corrupt"


def test_a_registry_that_is_away_is_no_fault_of_the_bytes(tmp_path: Path) -> None:
    with running("sandbox.registry", log=tmp_path / "log") as server:
        writer, reader = Codec(server.address, timeout_s=2), Codec(server.address, timeout_s=2)
        written = writer.encode(TOPIC, TICK)
    try:
        with pytest.raises(RegistryUnavailable):
            reader.decode(written, TimerTick)
        with pytest.raises(RegistryUnavailable):
            reader.encode(TOPIC, TICK)
    finally:
        writer.close()
        reader.close()


def test_what_was_asked_once_needs_no_registry_any_more(tmp_path: Path) -> None:
    with running("sandbox.registry", log=tmp_path / "log") as server:
        codec = Codec(server.address, timeout_s=2)
        codec.decode(codec.encode(TOPIC, TICK), TimerTick)
    try:
        assert codec.decode(codec.encode(TOPIC, TICK), TimerTick) == TICK
    finally:
        codec.close()


def test_registering_what_the_registry_holds_incompatibly_is_refused_and_not_called_an_outage(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    topic = uuid.uuid4().hex
    other = (
        '{"type":"record","name":"TimerTick","namespace":"notifystream","fields":[{"name":"x","type":"int"}]}'
    )
    registry_client.register_schema(f"{topic}-value", Schema(other, "AVRO"))
    with pytest.raises(SchemaRegistryError) as raised:
        codec.register(topic, TimerTick)
    assert raised.value.http_status_code == 409
