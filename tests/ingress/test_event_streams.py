"""Batches of the event stream: each event its own record, a malformed one a dead letter, none lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.accepted import NO_CONTENT, Accepted, Oddity
from ingress.event_streams import DEEPEST, LARGEST_BATCH, LARGEST_EVENT, MOST_EVENTS, event_batch
from ingress.refusals import Reason, Refusal
from schemas.identity import event_id
from schemas.records import DeadLetter, PlatformEvent
from schemas.topics import Topic
from tests.ingress.twilio_side import ACCOUNT

NOW = 1_790_000_000_000
LIBRDKAFKAS_LARGEST = 1_000_000  # message.max.bytes, its default
MESSAGE, CALL = "SM" + "a" * 32, "CA" + "b" * 32


def event(**changed: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.twilio.messaging.message.delivered",
        "source": f"/{ACCOUNT}/Messages/{MESSAGE}.json",
        "id": "EZ0001",
        "dataschema": "https://events-schemas.twilio.com/Messaging.MessageStatus/5",
        "datacontenttype": "application/json",
        "time": "2026-09-21T14:13:25.250Z",
        "data": {"messageSid": MESSAGE, "accountSid": ACCOUNT, "messageStatus": "DELIVERED", "body": "Grüße"},
    } | changed


def accepted(body: bytes) -> Accepted:
    found = event_batch(body, ACCOUNT, NOW)
    assert isinstance(found, Accepted)
    return found


def records(*events: Any) -> list[Any]:
    return [out.record for out in accepted(json.dumps(events).encode()).records]


def refused(body: bytes) -> Reason:
    found = event_batch(body, ACCOUNT, NOW)
    assert isinstance(found, Refusal)
    return found.reason


def test_an_event_becomes_a_record_with_all_it_says() -> None:
    [found] = records(event(traceparent="00-1", priority=3))
    assert isinstance(found, PlatformEvent)
    assert (found.id, found.type) == ("EZ0001", "com.twilio.messaging.message.delivered")
    assert (found.source, found.account_sid) == (event()["source"], ACCOUNT)
    assert (found.happened_at, found.received_at) == (1_790_000_005_250, NOW)
    assert (found.subject_sid, found.dataschema) == (MESSAGE, event()["dataschema"])
    assert found.attributes == {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "time": "2026-09-21T14:13:25.250Z",
        "traceparent": "00-1",
        "priority": "3",
    }


def test_data_is_kept_as_it_was_written() -> None:
    data = '{ "messageStatus":"SENT",  "n": 1.50, "dup":1, "dup":2, "e":"\\u00e9é" }'
    head = '{"specversion":"1.0","id":"1","source":"s","type":"t","data":'
    [out] = accepted(f"[{head}{data}}}]".encode()).records
    assert isinstance(out.record, PlatformEvent)
    assert out.record.data == data


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"messageSid": MESSAGE}, MESSAGE),
        ({"MessageSid": MESSAGE}, MESSAGE),
        ({"call_sid": CALL}, CALL),
        ({"CallSid": CALL, "MessageSid": MESSAGE}, MESSAGE),
        ({"messageSid": "not one"}, ACCOUNT),
        ({"messageSid": 5}, ACCOUNT),
        ({}, ACCOUNT),
        (None, ACCOUNT),
        ("text", ACCOUNT),
        ([MESSAGE], ACCOUNT),
    ],
)
def test_an_event_is_keyed_by_what_it_is_about_or_by_its_account(data: Any, key: str) -> None:
    [out] = accepted(json.dumps([event(data=data)]).encode()).records
    assert (out.topic, out.key) == (Topic.EVENTS, key)


def test_an_event_without_data_has_null() -> None:
    without = event()
    del without["data"]
    [found] = records(without)
    assert found.data == "null"


def test_events_stay_in_the_order_of_the_batch() -> None:
    found = records(*(event(id=f"EZ{number}") for number in range(50)))
    assert [record.id for record in found] == [f"EZ{number}" for number in range(50)]


def test_a_copy_is_known_by_source_and_id() -> None:
    [first, copy, other] = records(event(), event(time="2026-09-21T15:00:00Z"), event(id="EZ0002"))
    assert first.event_id == copy.event_id == event_id(first.source, first.id)
    assert first.event_id != other.event_id


MALFORMED = {
    "number": 7,
    "null": None,
    "array": [],
    "no id": {name: value for name, value in event().items() if name != "id"},
    "empty id": event(id=""),
    "no type": {name: value for name, value in event().items() if name != "type"},
    "numeric source": event(source=4),
    "too deep": event(data=json.loads("[" * DEEPEST + "]" * DEEPEST)),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_event_is_a_dead_letter_and_costs_none_of_the_others(malformed: Any) -> None:
    batch = accepted(json.dumps([event(id="before"), malformed, event(id="after")]).encode())
    before, letter, after = (out.record for out in batch.records)
    assert isinstance(before, PlatformEvent)
    assert isinstance(after, PlatformEvent)
    assert isinstance(letter, DeadLetter)
    assert (before.id, after.id) == ("before", "after")
    assert (letter.stage, letter.topic, letter.partition) == ("ingress", "twilio.events", -1)
    assert json.loads(letter.value or b"") == malformed
    assert batch.records[1].topic is Topic.DEAD_LETTERS
    assert (batch.oddities, batch.answer) == ((Oddity.MALFORMED_EVENT,), NO_CONTENT)


def test_data_as_deep_as_allowed_is_kept() -> None:
    [found] = records(event(data=json.loads("[" * (DEEPEST - 1) + "]" * (DEEPEST - 1))))
    assert isinstance(found, PlatformEvent)


def test_bytes_that_are_no_text_make_a_dead_letter_of_their_own_event_only() -> None:
    body = json.dumps([event(), event(id="XX")]).encode().replace(b"XX", b"\xff\xfe")
    kinds = [out.topic for out in accepted(body).records]
    assert kinds == [Topic.EVENTS, Topic.DEAD_LETTERS]


def test_copies_of_a_dead_letter_have_one_place_and_different_ones_different_places() -> None:
    first, copy, other = records(7, 7, 8)
    assert first.offset == copy.offset != other.offset
    assert 0 <= first.offset < 2**63


def test_a_dead_letter_says_what_was_wrong_and_shows_nothing_of_it() -> None:
    [letter] = records(event(source={"phone": "+14155550123"}))
    assert "source" in letter.detail
    assert "4155550123" not in letter.detail


@pytest.mark.parametrize("time", ["soon", "2026-09-21T14:13:25", "9999-99-99T00:00:00Z", ""])
def test_a_time_that_is_none_is_kept_among_the_attributes_only(time: str) -> None:
    [found] = records(event(time=time))
    assert (found.happened_at, found.attributes["time"]) == (None, time)


def test_an_empty_batch_is_accepted_and_writes_nothing() -> None:
    assert accepted(b"[]") == Accepted(())


@pytest.mark.parametrize("body", [b"", b"{}", b'"x"', b"[1,", b"[1] 2", b"null", b"\xff", b"[" * 100_000])
def test_only_what_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    assert refused(body) is Reason.NOT_A_BATCH


def test_too_many_events_and_too_large_bodies_are_refused() -> None:
    assert refused(json.dumps([1] * (MOST_EVENTS + 1)).encode()) is Reason.TOO_LARGE
    assert refused(b" " * (LARGEST_BATCH + 1)) is Reason.TOO_LARGE


@pytest.mark.parametrize("spoilt", [{}, {"id": 7}], ids=["event", "dead-letter"])
def test_an_event_is_taken_only_as_large_as_a_broker_takes_its_record(spoilt: dict[str, int]) -> None:
    def of_size(size: int) -> bytes:
        bare = len(json.dumps(event(data="", **spoilt)).encode())
        return json.dumps([event(data="x" * (size - bare), **spoilt)]).encode()

    assert refused(of_size(LARGEST_EVENT + 1)) is Reason.TOO_LARGE
    [out] = accepted(of_size(LARGEST_EVENT)).records
    assert len(msgspec.msgpack.encode(out.record)) + len(out.key) < LIBRDKAFKAS_LARGEST


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(JSON | JSON.map(lambda data: event(data=data)), max_size=8))
def test_no_element_is_lost_whatever_it_is(events: list[Any]) -> None:
    assert len(records(*events)) == len(events)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda inside: b"[" + inside + b"]"))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    found = event_batch(body, ACCOUNT, NOW)
    assert isinstance(found, Accepted) or found.reason is Reason.NOT_A_BATCH
