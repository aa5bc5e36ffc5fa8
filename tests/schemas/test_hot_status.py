"""The encoder written by hand writes what fastavro writes, whatever the record holds."""

from __future__ import annotations

import io
import string

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import hot_status
from schemas.codec import Codec, schema_text
from schemas.hot_status import encode_status
from schemas.records import ProviderStatus
from schemas.vocabulary import Channel
from tests.schemas.test_examples import example

SCHEMA = msgspec.json.decode(schema_text(ProviderStatus).replace(', "logicalType": "timestamp-millis"', ""))
ASCII = st.text(st.characters(max_codepoint=127), max_size=300)
INT = st.integers(-(2**31), 2**31 - 1)


def records(texts: st.SearchStrategy[str]) -> st.SearchStrategy[ProviderStatus]:
    def maybe(values: st.SearchStrategy[int] | st.SearchStrategy[str]) -> st.SearchStrategy[object]:
        return st.none() | values

    return st.builds(
        ProviderStatus,
        event_id=texts,
        provider=texts,
        account_sid=texts,
        message_sid=texts,
        notification_id=maybe(texts),
        attempt=maybe(INT),
        status=texts,
        error_code=maybe(INT),
        channel=st.sampled_from(Channel),
        recipient=maybe(texts),
        sender=maybe(texts),
        received_at=st.integers(-(2**63), 2**63 - 1),
        source=texts,
        raw_dlr_done_date=maybe(texts),
        segments=maybe(INT),
        price=maybe(texts),
        price_unit=maybe(texts),
        parameters=st.dictionaries(texts, texts, max_size=20),
    )


def by_fastavro(record: ProviderStatus) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), msgspec.to_builtins(record))
    return out.getvalue()


@given(records(ASCII))
def test_a_record_in_ascii_becomes_the_bytes_that_fastavro_writes(record: ProviderStatus) -> None:
    assert encode_status(record) == by_fastavro(record)


@given(records(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_any_other_record_becomes_the_same_bytes_or_is_left_to_fastavro(record: ProviderStatus) -> None:
    ours = encode_status(record)
    texts = "".join(str(value) for value in msgspec.structs.astuple(record))
    assert ours == by_fastavro(record) if texts.isascii() else ours is None or ours == by_fastavro(record)


@pytest.mark.parametrize("size", [0, 63, 64, 8191, 8192, 70_000])
def test_a_text_of_any_length_is_written_with_its_length(size: int) -> None:
    record = msgspec.structs.replace(example("provider_status"), parameters={"Body": "x" * size})
    assert isinstance(record, ProviderStatus)
    assert encode_status(record) == by_fastavro(record)


TEXT_FIELDS = [
    field.name for field in msgspec.structs.fields(ProviderStatus) if field.type in (str, str | None)
]


@pytest.mark.parametrize("name", TEXT_FIELDS)
def test_a_character_outside_ascii_in_any_field_is_left_to_fastavro(name: str) -> None:
    record = msgspec.structs.replace(example("provider_status"), **{name: "é"})
    assert isinstance(record, ProviderStatus)
    assert encode_status(record) is None


@pytest.mark.parametrize("parameters", [{"Body": "é"}, {"Ü": "1"}])
def test_a_parameter_outside_ascii_survives_the_codec(codec: Codec, parameters: dict[str, str]) -> None:
    record = msgspec.structs.replace(example("provider_status"), parameters=parameters)
    assert codec.decode(codec.encode("twilio.status", record), ProviderStatus) == record


def test_names_nobody_has_seen_do_not_fill_the_memory() -> None:
    for number in range(3000):
        record = msgspec.structs.replace(
            example("provider_status"), parameters={f"X{number}": string.ascii_letters}
        )
        assert isinstance(record, ProviderStatus)
        assert encode_status(record) is not None
    assert len(hot_status._NAMES) <= hot_status._USUAL_NAMES
