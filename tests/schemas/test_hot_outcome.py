"""The encoder of outcomes written by hand writes what fastavro writes, whatever the record holds."""

from __future__ import annotations

import io

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Codec, schema_text
from schemas.hot_outcome import encode_outcome
from schemas.records import AttemptSummary, NotificationOutcome
from schemas.topics import Topic
from schemas.vocabulary import Channel, ErrorClass, NotificationState
from tests.schemas.test_examples import example
from tests.schemas.test_hot_status import ASCII, INT

SCHEMA = fastavro.parse_schema(
    msgspec.json.decode(schema_text(NotificationOutcome).replace(', "logicalType": "timestamp-millis"', ""))
)
TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(2**33, 2**42)


def attempts(texts: st.SearchStrategy[str]) -> st.SearchStrategy[AttemptSummary]:
    return st.builds(
        AttemptSummary,
        attempt=INT,
        channel=st.sampled_from(Channel),
        sender=texts,
        sid=st.none() | texts,
        status=texts,
        error_code=st.none() | INT,
        error_class=st.none() | st.sampled_from(ErrorClass),
        segments=INT,
        commanded_at=TIMES,
        accepted_at=st.none() | TIMES,
        sent_at=st.none() | TIMES,
        delivered_at=st.none() | TIMES,
        ended_at=st.none() | TIMES,
    )


def outcomes(texts: st.SearchStrategy[str]) -> st.SearchStrategy[NotificationOutcome]:
    return st.builds(
        NotificationOutcome,
        notification_id=texts,
        version=INT,
        tenant=texts,
        idempotency_key=texts,
        content_hash=texts,
        state=st.sampled_from(NotificationState),
        final=st.booleans(),
        reason=st.none() | texts,
        detail=st.none() | texts,
        recipient=texts,
        country=texts,
        carrier=texts,
        carrier_source=texts,
        category=texts,
        priority=texts,
        requested_at=TIMES,
        updated_at=TIMES,
        duplicates=INT,
        conflicts_with=st.none() | texts,
        attempts=st.lists(attempts(texts), max_size=3).map(tuple),
        metadata=st.dictionaries(texts, texts, max_size=5),
    )


def by_fastavro(record: NotificationOutcome) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, msgspec.to_builtins(record))
    return out.getvalue()


@given(outcomes(ASCII))
def test_a_record_in_ascii_becomes_the_bytes_that_fastavro_writes(record: NotificationOutcome) -> None:
    assert encode_outcome(record) == by_fastavro(record)


@given(outcomes(st.text(max_size=30)))
def test_any_other_record_becomes_the_same_bytes_or_is_left_to_fastavro(record: NotificationOutcome) -> None:
    assert encode_outcome(record) in (None, by_fastavro(record))


def outcome() -> NotificationOutcome:
    made = example("notification_outcome")
    assert isinstance(made, NotificationOutcome)
    assert made.attempts
    return made


@pytest.mark.parametrize(
    "name",
    ["notification_id", "tenant", "idempotency_key", "reason", "detail", "recipient", "country", "carrier"],
)
def test_a_character_outside_ascii_in_any_field_is_left_to_fastavro(name: str) -> None:
    assert encode_outcome(msgspec.structs.replace(outcome(), **{name: "é"})) is None
    in_attempt = msgspec.structs.replace(outcome().attempts[0], sender="é")
    assert encode_outcome(msgspec.structs.replace(outcome(), attempts=(in_attempt,))) is None
    assert encode_outcome(msgspec.structs.replace(outcome(), metadata={"é": ""})) is None


@pytest.mark.parametrize("detail", ["plain", "é", "数"])
def test_an_outcome_survives_the_codec(codec: Codec, detail: str) -> None:
    record = msgspec.structs.replace(outcome(), detail=detail, metadata={detail: "x"})
    assert codec.decode(codec.encode(Topic.OUTCOMES, record), NotificationOutcome) == record
