"""Callbacks of voice calls: kept with the time and the number they carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.accepted import NO_CONTENT, Accepted, Oddity
from ingress.call_events import call_status
from ingress.form import Form
from ingress.refusals import Reason, Refusal
from schemas.identity import AttemptRef, notification_id
from schemas.records import CallStatus
from schemas.topics import Topic
from tests.ingress.twilio_side import ACCOUNT

SID = "CA" + "a" * 32
OURS = AttemptRef(notification_id("acme", "order-1"), 2)
NOW = 1_790_000_000_000


def form(**changed: str) -> Form:
    """The documented parameters of the last callback of a call."""
    parameters = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallSid": SID,
        "CallStatus": "completed",
        "Direction": "outbound-api",
        "From": "+14155550100",
        "To": "+14155550123",
        "SequenceNumber": "3",
        "CallbackSource": "call-progress-events",
        "Timestamp": "Mon, 21 Sep 2026 14:14:25 +0000",
        "Duration": "1",
        "CallDuration": "42",
        "SipResponseCode": "200",
        "AnsweredBy": "human",
    } | changed
    return Form.of((name, value) for name, value in parameters.items() if value)


def accepted(attempt: AttemptRef | None = OURS, at: int = NOW, **changed: str) -> Accepted:
    found = call_status(form(**changed), attempt, at)
    assert isinstance(found, Accepted)
    return found


def record(attempt: AttemptRef | None = OURS, at: int = NOW, **changed: str) -> CallStatus:
    [out] = accepted(attempt, at, **changed).records
    assert isinstance(out.record, CallStatus)
    return out.record


def test_a_callback_becomes_a_record_with_all_it_says() -> None:
    found = record()
    assert (found.call_sid, found.account_sid, found.status) == (SID, ACCOUNT, "completed")
    assert (found.notification_id, found.attempt) == OURS
    assert (found.recipient, found.sender, found.direction) == (
        "+14155550123",
        "+14155550100",
        "outbound-api",
    )
    assert (found.sequence_number, found.happened_at, found.received_at) == (3, 1_790_000_065_000, NOW)
    assert (found.duration_s, found.billed_minutes, found.sip_response_code) == (42, 1, 200)
    assert (found.answered_by, found.source) == ("human", "call-progress-events")
    assert found.parameters == form().values


@pytest.mark.parametrize(("attempt", "key"), [(OURS, OURS.notification_id), (None, SID)])
def test_it_is_keyed_by_its_notification_or_by_the_call(attempt: AttemptRef | None, key: str) -> None:
    found = accepted(attempt)
    assert [(out.topic, out.key) for out in found.records] == [(Topic.CALLS, key)]
    assert found.answer == NO_CONTENT


@pytest.mark.parametrize(
    "word",
    ["queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"],
)
def test_each_status_of_a_call_is_kept_and_known(word: str) -> None:
    assert record(CallStatus=word).status == word
    assert accepted(CallStatus=word).oddities == ()


@pytest.mark.parametrize(
    ("changed", "oddity"),
    [
        ({"CallStatus": "levitating"}, Oddity.UNKNOWN_STATUS),
        ({"CallMood": "good"}, Oddity.UNKNOWN_PARAMETER),
    ],
)
def test_what_nobody_knows_is_kept_and_told(changed: dict[str, str], oddity: Oddity) -> None:
    assert accepted(**changed).oddities == (oddity,)
    assert changed.items() <= record(**changed).parameters.items()


def test_a_copy_has_the_same_event_id_whenever_it_comes() -> None:
    assert record().event_id == record(at=NOW + 5_000).event_id


@pytest.mark.parametrize(
    "other",
    [
        record(SequenceNumber="4"),
        record(SequenceNumber=""),
        record(CallStatus="busy"),
        record(CallSid="CA" + "b" * 32),
        record(Timestamp="Mon, 21 Sep 2026 14:14:26 +0000"),
        record(attempt=None),
        record(attempt=OURS._replace(attempt=3)),
    ],
)
def test_another_event_has_another_id(other: CallStatus) -> None:
    assert other.event_id != record().event_id


def test_the_first_callback_is_number_0_and_not_one_without_a_number() -> None:
    assert record(SequenceNumber="0").sequence_number == 0
    assert record(SequenceNumber="").sequence_number is None


@pytest.mark.parametrize("address", ["sip:alice@example.com:5060", "client:alice"])
def test_an_address_that_is_no_number_is_kept_whole(address: str) -> None:
    assert record(To=address).recipient == address


@pytest.mark.parametrize(
    "time", ["yesterday", "Mon, 21 Sep 2026 14:14:25", "Mon, 99 Sep 2026 14:14:25 +0000"]
)
def test_a_time_that_is_none_is_kept_among_the_parameters_only(time: str) -> None:
    found = record(Timestamp=time)
    assert (found.happened_at, found.parameters["Timestamp"]) == (None, time)


@given(st.text(max_size=60))
def test_no_timestamp_makes_it_raise(time: str) -> None:
    assert record(Timestamp=time).received_at == NOW


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"CallSid": ""}, Reason.MISSING_PARAMETER),
        ({"CallSid": "CA1"}, Reason.BAD_PARAMETER),
        ({"CallStatus": ""}, Reason.MISSING_PARAMETER),
    ],
)
def test_what_cannot_be_identified_is_refused(changed: dict[str, str], reason: Reason) -> None:
    found = call_status(form(**changed), OURS, NOW)
    assert isinstance(found, Refusal)
    assert found.reason is reason
