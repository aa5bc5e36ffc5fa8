"""The way by the column makes the rows of the exact way, for any records; and says when it cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.codec import Codec, schema_text
from schemas.records import (
    AttemptEvent,
    AttemptSummary,
    InboundMessage,
    Media,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    PassedOver,
    ProviderStatus,
    Record,
    Step,
)
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, CommandResult, ErrorClass, NotificationState, Priority
from sinks.analytics.avro_block import BlockReader, Unreadable
from sinks.analytics.columns import COLUMNAR, NotPlain, tables_of, wanted_of
from sinks.analytics.frames import RECORD, frame_of
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import LANDINGS, Place
from sinks.analytics.tables import Row
from tests.analytics import examples

PRIVACY = Privacy(bytes(range(32)))
SCHEMA_ID = 300
texts = st.text(max_size=12) | st.sampled_from(
    ["", "order 20261121-000123", "welcome +49 151 234 567 89", "0151/23456789-2", "١٢٣٤٥٦٧٨", "1 2\x1c3 456"]
)
people = st.sampled_from(
    ["+4915123456789", "+14155550123", "+447700900123", "+12", "", "not a number 12345678"]
)
times = st.integers(946_684_800_000, 4_102_444_799_999)
ints = st.integers(-(2**31), 2**31 - 1)
few = st.integers(0, 2**20)
longs = st.integers(-(2**63), 2**63 - 1)
labels = st.dictionaries(texts, texts, max_size=3)
amounts = st.none() | st.sampled_from(
    ["-0.0075", "12.3456789", "-0.0000019", "free", "NaN", "1e99", "999999999999"]
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


summaries = st.builds(
    AttemptSummary,
    attempt=ints,
    channel=st.sampled_from(Channel),
    sender=texts,
    sid=maybe(texts),
    status=texts,
    error_code=maybe(ints),
    error_class=maybe(st.sampled_from(ErrorClass)),
    segments=few,
    commanded_at=times,
    accepted_at=maybe(times),
    sent_at=maybe(times),
    delivered_at=maybe(times),
    ended_at=maybe(times),
)
steps = st.builds(
    Step,
    channel=st.sampled_from(Channel),
    sender=maybe(texts),
    body=maybe(texts),
    content_sid=maybe(texts),
    content_variables=labels,
    media_urls=st.lists(texts, max_size=2).map(tuple),
    wait_ms=maybe(longs),
    cost=maybe(texts),
)
RECORDS: dict[str, st.SearchStrategy[Record]] = {
    Topic.STATUS: st.builds(
        ProviderStatus,
        event_id=texts,
        provider=texts,
        account_sid=texts,
        message_sid=texts,
        notification_id=maybe(texts),
        attempt=maybe(ints),
        status=texts,
        error_code=maybe(ints),
        channel=st.sampled_from(Channel),
        recipient=maybe(people),
        sender=maybe(texts),
        received_at=times,
        source=texts,
        raw_dlr_done_date=maybe(texts),
        segments=maybe(ints),
        price=amounts,
        price_unit=maybe(texts),
        parameters=labels,
    ),
    Topic.ATTEMPTS: st.builds(
        AttemptEvent,
        notification_id=texts,
        attempt=ints,
        command_id=texts,
        tenant=texts,
        sender=texts,
        result=st.sampled_from(CommandResult),
        sid=maybe(texts),
        status=maybe(texts),
        error_code=maybe(ints),
        error_class=maybe(st.sampled_from(ErrorClass)),
        detail=maybe(texts),
        request_id=maybe(texts),
        latency_ms=maybe(ints),
        at=times,
    ),
    Topic.OUTCOMES: st.builds(
        NotificationOutcome,
        notification_id=texts,
        version=ints,
        tenant=texts,
        idempotency_key=texts,
        content_hash=texts,
        state=st.sampled_from(NotificationState),
        final=st.booleans(),
        reason=maybe(texts),
        detail=maybe(texts),
        recipient=people,
        country=texts,
        carrier=texts,
        carrier_source=texts,
        category=texts,
        priority=texts,
        requested_at=times,
        updated_at=times,
        duplicates=ints,
        conflicts_with=maybe(texts),
        attempts=st.lists(summaries, max_size=3).map(tuple),
        metadata=labels,
    ),
    Topic.REQUESTS: st.builds(
        NotificationRequest,
        notification_id=texts,
        tenant=texts,
        idempotency_key=texts,
        content_hash=texts,
        origin=st.builds(Origin, topic=texts, partition=ints, offset=longs),
        requested_at=times,
        recipient=people,
        country=texts,
        carrier=texts,
        carrier_source=texts,
        channels=st.lists(st.sampled_from(Channel), max_size=3).map(tuple),
        steps=st.lists(steps, max_size=3).map(tuple),
        category=st.sampled_from(Category),
        priority=st.sampled_from(Priority),
        send_at=maybe(times),
        expires_at=maybe(times),
        contacts=labels,
        metadata=labels,
        refusal=maybe(texts),
        refusal_detail=maybe(texts),
        cost_unit=maybe(texts),
        passed_over=st.lists(
            st.builds(PassedOver, step=ints, channel=st.sampled_from(Channel), reason=texts, detail=texts),
            max_size=2,
        ).map(tuple),
    ),
    Topic.INBOUND: st.builds(
        InboundMessage,
        provider=texts,
        account_sid=texts,
        message_sid=texts,
        tenant=texts,
        recipient=people,
        sender=texts,
        channel=st.sampled_from(Channel),
        body=texts,
        media=st.lists(st.builds(Media, url=texts, content_type=texts), max_size=2).map(tuple),
        opt_out_type=maybe(texts),
        button_payload=maybe(texts),
        replied_to=maybe(texts),
        received_at=times,
        parameters=labels,
    ),
}


_EXAMPLES: dict[str, list[Record]] = {
    Topic.STATUS: [examples.status(str(number)) for number in range(4)],
    Topic.ATTEMPTS: [examples.attempt_event(str(number)) for number in range(4)],
    Topic.OUTCOMES: [examples.outcome(str(number), metadata={"campaign": "spring"}) for number in range(4)],
    Topic.REQUESTS: [examples.request(str(number)) for number in range(4)],
    Topic.INBOUND: [examples.inbound(str(number)) for number in range(4)],
}


@pytest.fixture(scope="module")
def codec() -> Codec:
    """Knows every schema without a registry."""
    made = Codec("http://127.0.0.1:9")
    for number, (topic, columnar) in enumerate(COLUMNAR.items()):
        made.adopt(topic, columnar.record_type, SCHEMA_ID + number)
        made._writers[SCHEMA_ID + number] = made._own(columnar.record_type)
    return made


def by_column(topic: str, values: Sequence[bytes]) -> dict[type[Row], pl.DataFrame]:
    reader = BlockReader(schema_text(COLUMNAR[topic].record_type), wanted_of(topic))
    count = len(values)
    frame = reader.read([value[5:] for value in values]).with_columns(
        pl.lit(topic).alias("kafka_topic"),
        pl.lit(3, pl.Int32).alias("kafka_partition"),
        pl.Series("kafka_offset", range(100, 100 + count), pl.Int64),
        pl.Series(RECORD, range(count), pl.UInt32),
    )
    return tables_of(topic, frame, PRIVACY)


def one_by_one(codec: Codec, topic: str, values: Sequence[bytes]) -> dict[type[Row], pl.DataFrame]:
    held: dict[type[Row], tuple[list[Row], list[int]]] = {}
    for number, value in enumerate(values):
        for row in LANDINGS[topic](codec, value, Place(topic, 3, 100 + number), PRIVACY):
            rows, numbers = held.setdefault(type(row), ([], []))
            rows.append(row)
            numbers.append(number)
    return {row_type: frame_of(row_type, *of_type) for row_type, of_type in held.items()}


@pytest.mark.parametrize("topic", COLUMNAR)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_records_become_the_same_rows_both_ways(codec: Codec, topic: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[topic], min_size=1, max_size=6))
    values = [codec.encode(topic, record) for record in records]
    fast, exact = by_column(topic, values), one_by_one(codec, topic, values)
    assert fast.keys() == exact.keys()
    for row_type in exact:
        assert_frame_equal(fast[row_type], exact[row_type], check_exact=True)


@pytest.mark.parametrize("topic", COLUMNAR)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_bodies_that_were_cut_or_lengthened_are_never_read_as_something_else(
    codec: Codec, topic: str, data: st.DataObject
) -> None:
    values = [codec.encode(topic, data.draw(RECORDS[topic])) for _ in range(3)]
    hurt = data.draw(st.integers(0, 2))
    cut = data.draw(st.integers(5, len(values[hurt]) - 1))
    values[hurt] = (
        values[hurt][:cut] if data.draw(st.booleans()) else values[hurt] + values[0][5:cut] + b"\x00"
    )
    with pytest.raises(Unreadable):
        by_column(topic, values)


def test_a_last_body_that_ends_within_a_number_is_unreadable(codec: Codec) -> None:
    values = [codec.encode(Topic.ATTEMPTS, examples.attempt_event(str(number))) for number in range(3)]
    for cut in range(1, len(values[2]) - 5):
        with pytest.raises(Unreadable):
            by_column(Topic.ATTEMPTS, [*values[:2], values[2][:-cut]])


@pytest.mark.parametrize("topic", COLUMNAR)
def test_a_body_that_was_cut_costs_no_line_on_stderr(
    codec: Codec, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    values = [codec.encode(topic, record) for record in _EXAMPLES[topic]]
    for hurt, value in enumerate(values):
        for cut in range(5, len(value)):
            with pytest.raises(Unreadable):
                by_column(topic, [*values[:hurt], value[:cut], *values[hurt + 1 :]])
    assert capfd.readouterr().err == ""


def test_what_a_panic_writes_to_stderr_holds_two_lengths_and_nothing_of_the_record(
    codec: Codec, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUST_BACKTRACE", "0")
    value = codec.encode(Topic.STATUS, examples.status())
    # As if the number of the recipient were as long as a time in milliseconds is large.
    length, endless = bytes([len(examples.RECIPIENT) << 1]), b"\x80\xd0\xb9\xf0\xbe\x66"
    hurt = value.replace(length + examples.RECIPIENT.encode(), endless + examples.RECIPIENT.encode(), 1)
    assert hurt != value
    with pytest.raises(Unreadable):
        by_column(Topic.STATUS, [value, hurt, value])
    said = capfd.readouterr().err
    panic = re.search(r"panicked at [\w/.-]+\.rs:\d+:\d+:\n(.*)\n", said)
    assert panic is not None
    assert re.fullmatch(r"range (?:start|end) index \d+ out of range for slice of length \d+", panic[1])
    assert not any(examples.RECIPIENT[at : at + 5] in said for at in range(len(examples.RECIPIENT) - 4))
    assert examples.BODY not in said


@given(st.text("+0123456789 abcXYZ-./()", min_size=1, max_size=40).map(str.encode), st.data())
def test_a_length_read_from_within_a_text_is_below_64(text: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    assert -64 <= fastavro.schemaless_reader(BytesIO(text[at:]), "long", None) < 64  # type: ignore[operator]


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (Topic.STATUS, examples.status(received_at=1_700_000_000)),
        (Topic.INBOUND, examples.inbound(channel="pigeon")),
        (Topic.STATUS, examples.status(error_code=2**31)),
        (Topic.ATTEMPTS, examples.attempt_event(error_class="sunspots")),
        (Topic.OUTCOMES, examples.outcome(attempts=(examples.attempt(sent_at=1),))),
        (Topic.OUTCOMES, examples.outcome(attempts=(examples.attempt(channel="pigeon"),))),
        (Topic.REQUESTS, examples.request(send_at=2**60)),
        (Topic.REQUESTS, examples.request(channels=("pigeon",))),
        (Topic.REQUESTS, examples.request(steps=(Step(channel="pigeon"),))),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_must_be_judged_is_left_to_the_exact_way(
    codec: Codec, topic: str, record: Record
) -> None:
    with pytest.raises(NotPlain):
        by_column(topic, [codec.encode(topic, record)])


def test_a_label_that_is_said_twice_counts_once_as_it_does_in_a_dictionary(codec: Codec) -> None:
    twice = codec.encode(Topic.OUTCOMES, examples.outcome(metadata={"a": "1", "b": "2"})).replace(
        b"\x02b\x022", b"\x02a\x022"
    )
    fast, exact = by_column(Topic.OUTCOMES, [twice]), one_by_one(codec, Topic.OUTCOMES, [twice])
    for row_type in exact:
        assert_frame_equal(fast[row_type], exact[row_type], check_exact=True)


def test_every_topic_that_is_read_by_column_has_its_strategy() -> None:
    assert RECORDS.keys() == COLUMNAR.keys()
