"""The reader written by hand reads what the codec reads, and leaves to it what it does not understand."""

from __future__ import annotations

import json

import msgspec
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from hypothesis import given
from hypothesis import strategies as st

from schemas import hot_reading
from schemas.codec import Codec, schema_text
from schemas.errors import WireError
from schemas.hot_reading import StatusReader
from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests.schemas.test_examples import example
from tests.schemas.test_hot_status import ASCII, by_fastavro, records

STATUS = msgspec.convert(msgspec.to_builtins(example("provider_status")), ProviderStatus)
PREFIX = b"\x00\x00\x00\x00\x01"


@pytest.fixture
def reader(codec: Codec) -> StatusReader:
    """One that has met our schema already."""
    made = StatusReader(codec)
    made.read(codec.encode(Topic.STATUS, STATUS))
    assert made._ours
    return made


@given(records(ASCII | st.text(max_size=300)))
def test_every_field_but_the_parameters_is_read_as_it_was_written(record: ProviderStatus) -> None:
    read = hot_reading._read(PREFIX + by_fastavro(record))
    assert read == msgspec.structs.replace(record, parameters={})


@given(records(ASCII), st.data())
def test_a_record_cut_short_before_its_parameters_is_never_read(
    record: ProviderStatus, data: st.DataObject
) -> None:
    whole = by_fastavro(msgspec.structs.replace(record, parameters={}))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises((IndexError, KeyError, UnicodeDecodeError)):
        hot_reading._read(PREFIX + whole[:cut])


@pytest.mark.parametrize("broken", [None, b"", b"\xff garbage", b"\x00\x00", PREFIX + b"\x01" * 50])
def test_what_the_reader_does_not_understand_the_codec_says_what_is_wrong_with(
    reader: StatusReader, codec: Codec, broken: bytes | None
) -> None:
    with pytest.raises(WireError) as expected:
        codec.decode(broken, ProviderStatus)
    with pytest.raises(WireError) as raised:
        reader.read(broken)
    assert raised.value.reason == expected.value.reason


def test_half_a_record_of_our_schema_is_corrupt(reader: StatusReader, codec: Codec) -> None:
    with pytest.raises(WireError) as raised:
        reader.read(codec.encode(Topic.STATUS, STATUS)[:40])
    assert raised.value.reason == "corrupt"


def test_a_record_of_another_schema_of_its_kind_is_read_by_the_codec(
    codec: Codec, registry_client: SchemaRegistryClient
) -> None:
    schema = json.loads(schema_text(ProviderStatus))
    schema["fields"].insert(0, {"name": "newer", "type": "string", "default": ""})
    schema_id = registry_client.register_schema("newer-value", Schema(json.dumps(schema), "AVRO"))
    value = b"\x00" + schema_id.to_bytes(4, "big") + b"\x06new" + by_fastavro(STATUS)
    reader = StatusReader(codec)
    for _ in range(2):
        assert reader.read(value) == STATUS
    assert not reader._ours


def test_the_first_record_of_our_schema_is_read_whole_and_the_next_without_parameters(codec: Codec) -> None:
    reader = StatusReader(codec)
    value = codec.encode(Topic.STATUS, msgspec.structs.replace(STATUS, parameters={"a": "b"}))
    assert [reader.read(value).parameters for _ in range(2)] == [{"a": "b"}, {}]
