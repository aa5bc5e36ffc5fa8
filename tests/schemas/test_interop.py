"""What others write with Confluent's own serializers we read, and they read what we write."""

from __future__ import annotations

import datetime
import json
from typing import Any

import msgspec
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.codec import Codec, schema_text
from schemas.records import NotifyRequest, TimerTick
from tests.schemas.contracts import CLASSES, NAMES
from tests.schemas.test_examples import example, topic_of

by_name = pytest.mark.parametrize("name", NAMES)


def in_topic(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)


def plain(record: msgspec.Struct) -> Any:
    """The record as a producer's dictionary would be."""
    return msgspec.to_builtins(record, builtin_types=(bytes,))


def in_milliseconds(value: Any) -> Any:
    """Confluent's deserializer makes datetimes of timestamps."""
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {key: in_milliseconds(item) for key, item in value.items()}
    return [in_milliseconds(item) for item in value] if isinstance(value, list) else value


def with_lists(value: Any) -> Any:
    """Ours are tuples where Avro has arrays."""
    if isinstance(value, dict):
        return {key: with_lists(item) for key, item in value.items()}
    return [with_lists(item) for item in value] if isinstance(value, tuple | list) else value


@by_name
def test_what_a_confluent_serializer_writes_the_codec_reads(
    name: str, codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    record = example(name)
    serializer = AvroSerializer(registry_client, schema_text(CLASSES[name]))
    written = serializer(plain(record), in_topic(topic_of(name)))
    assert codec.decode(written, CLASSES[name]) == record


@by_name
def test_what_the_codec_writes_a_confluent_deserializer_reads(
    name: str, codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    record = example(name)
    written = codec.encode(topic_of(name), record)
    read = AvroDeserializer(registry_client)(written, in_topic(topic_of(name)))
    assert in_milliseconds(read) == with_lists(plain(record))


@by_name
def test_both_write_the_same_bytes_under_the_same_subject(
    name: str, codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    record = example(name)
    serializer = AvroSerializer(registry_client, schema_text(CLASSES[name]))
    assert codec.encode(topic_of(name), record) == serializer(plain(record), in_topic(topic_of(name)))


def test_a_producer_may_write_times_as_datetimes(codec: Codec, registry_client: SchemaRegistryClient) -> None:
    serializer = AvroSerializer(registry_client, schema_text(TimerTick))
    due = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
    written = serializer(
        {"notification_id": "n", "due_at": due, "fired_at": due}, in_topic("notification.timers")
    )
    assert codec.decode(written, TimerTick).due_at == round(due.timestamp() * 1000)


def test_a_producer_with_an_older_and_smaller_schema_is_understood(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    schema = json.loads(schema_text(NotifyRequest))
    schema["fields"] = [
        f for f in schema["fields"] if f["name"] in ("tenant", "idempotency_key", "recipient", "body")
    ]
    serializer = AvroSerializer(registry_client, json.dumps(schema))
    given = {"tenant": "acme", "idempotency_key": "k", "recipient": "+4915123456789", "body": "hello"}
    written = serializer(given, in_topic("an.older.producer"))
    assert codec.decode(written, NotifyRequest) == msgspec.convert(given, NotifyRequest)


def test_a_producer_with_a_newer_and_larger_schema_is_understood(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    schema = json.loads(schema_text(TimerTick))
    schema["fields"].append({"name": "mood", "type": "string", "default": "calm"})
    serializer = AvroSerializer(registry_client, json.dumps(schema))
    written = serializer(
        {"notification_id": "n", "due_at": 1, "fired_at": 2, "mood": "excited"}, in_topic("a.newer.producer")
    )
    assert codec.decode(written, TimerTick) == TimerTick(notification_id="n", due_at=1, fired_at=2)
