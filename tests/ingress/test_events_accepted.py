"""What is accepted of a message's webhook: its records, their keys, the answer and the oddities."""

from __future__ import annotations

import pytest

from ingress.accepted import NO_CONTENT, RECORDS, Accepted, Oddity, Reply
from ingress.answers.decide import Answers, Section
from ingress.answers.guard import LoopGuard
from ingress.answers.keywords import keyword
from ingress.answers.twiml import SILENCE
from ingress.events import InboundContext, inbound, status_callback
from ingress.form import Form
from ingress.refusals import Refusal
from schemas.identity import AttemptRef, notification_id
from schemas.records import InboundMessage, KeywordMatched, ProviderStatus
from schemas.topics import Topic, load_topics
from schemas.vocabulary import Channel
from tests.ingress.twilio_side import inbound_form, status_form

SID = "SM" + "a" * 32
OURS = AttemptRef(notification_id("acme", "order-1"), 2)
NOW = 1_790_000_000_000


def status(attempt: AttemptRef | None = OURS, status: str = "delivered", **more: str) -> Accepted:
    accepted = status_callback(Form.of(status_form(SID, status, **more).items()), attempt, NOW)
    assert isinstance(accepted, Accepted)
    return accepted


def written(body: str = "hello", section: Section | None = None, **more: str) -> Accepted:
    context = InboundContext({}, Answers(default=section or Section()), LoopGuard())
    accepted = inbound(Form.of(inbound_form(SID, body, **more).items()), context, NOW)
    assert isinstance(accepted, Accepted)
    return accepted


def message(accepted: Accepted) -> InboundMessage:
    record = accepted.records[0].record
    assert isinstance(record, InboundMessage)
    return record


ALL_13 = [
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "read",
    "canceled",
    "receiving",
    "received",
    "partially_delivered",
]


@pytest.mark.parametrize("word", ALL_13)
def test_each_of_the_13_statuses_is_kept_and_known(word: str) -> None:
    accepted = status(status=word)
    [out] = accepted.records
    assert isinstance(out.record, ProviderStatus)
    assert (out.topic, out.record.status, accepted.answer) == (Topic.STATUS, word, NO_CONTENT)
    assert accepted.oddities == ()


@pytest.mark.parametrize(
    "more",
    [
        {"RawDlrDoneDate": "2611210945", "MessagingServiceSid": "MG" + "1" * 32},
        {"ErrorCode": "63016", "ChannelStatusMessage": "window closed", "ChannelPrefix": "whatsapp"},
        {"EventType": "READ", "ChannelInstallSid": "XE" + "1" * 32, "ChannelToAddress": "+1415555XXXX"},
        {"StructuredMessage": "false", "Body": "hi", "NumSegments": "1"},
    ],
)
def test_the_parameters_that_are_known_to_come_are_no_oddity(more: dict[str, str]) -> None:
    assert status(**more).oddities == ()


@pytest.mark.parametrize(
    ("changed", "oddity"),
    [
        ({"MessageStatus": "teleported"}, Oddity.UNKNOWN_STATUS),
        ({"To": "messenger:12345"}, Oddity.UNKNOWN_CHANNEL),
        ({"NextBigThing": "1"}, Oddity.UNKNOWN_PARAMETER),
    ],
)
def test_what_nobody_knows_is_kept_and_told(changed: dict[str, str], oddity: Oddity) -> None:
    accepted = status(**changed)
    [out] = accepted.records
    assert isinstance(out.record, ProviderStatus)
    assert (accepted.oddities, changed.items() <= out.record.parameters.items()) == ((oddity,), True)


def test_all_that_is_odd_about_a_callback_is_told() -> None:
    accepted = status(MessageStatus="teleported", To="messenger:1", NextBigThing="1")
    assert set(accepted.oddities) == set(Oddity) - {Oddity.MALFORMED_EVENT}


@pytest.mark.parametrize(("attempt", "key"), [(OURS, OURS.notification_id), (None, SID)])
def test_a_status_is_keyed_by_its_notification_or_by_its_message(
    attempt: AttemptRef | None, key: str
) -> None:
    assert status(attempt).records[0].key == key


def test_event_ids_are_what_they_were_when_records_of_them_were_written() -> None:
    record = status(MessageStatus="undelivered", ErrorCode="30003").records[0].record
    assert isinstance(record, ProviderStatus)
    assert record.event_id == "ddbfcb499ae33272438a14476ea49240"


def test_an_inbound_message_is_keyed_by_the_person_and_answered_with_silence_without_a_configuration() -> (
    None
):
    accepted = written()
    assert [(out.topic, out.key) for out in accepted.records] == [(Topic.INBOUND, "+14155550123")]
    assert (accepted.answer, accepted.reply) == (SILENCE, Reply.NOTHING)


RICH = {
    "reply to one of ours": {
        "OriginalRepliedMessageSid": "SM" + "b" * 32,
        "OriginalRepliedMessageSender": "x",
    },
    "button": {"ButtonPayload": "yes-17", "ButtonText": "Yes", "ButtonType": "REPLY"},
    "location": {"Latitude": "37.7", "Longitude": "-122.4", "Address": "Market St", "Label": "Shop"},
    "referral": {"ReferralHeadline": "Sale", "ReferralCtwaClid": "c", "ReferralSourceType": "ad"},
    "profile": {"ProfileName": "Zoë", "WaId": "14155550123", "Forwarded": "true"},
    "flow": {
        "InteractiveData": "{}",
        "FlowData": "{}",
        "ChannelMetadata": "{}",
        "MessageType": "interactive",
    },
    "place": {"FromCity": "SAN FRANCISCO", "FromState": "CA", "FromZip": "94105", "ToCountry": "US"},
    "media": {"NumMedia": "1", "MediaUrl0": "https://m/0", "MediaContentType0": "image/png"},
    "opt-out": {"OptOutType": "HELP"},
}


@pytest.mark.parametrize("more", RICH.values(), ids=RICH)
def test_what_a_rich_message_brings_is_kept_verbatim_and_known(more: dict[str, str]) -> None:
    accepted = written(To="whatsapp:+14155550100", From="whatsapp:+14155550123", **more)
    assert more.items() <= message(accepted).parameters.items()
    assert accepted.oddities == ()


def test_the_button_and_the_message_answered_are_fields_of_their_own() -> None:
    record = message(written(ButtonPayload="yes-17", OriginalRepliedMessageSid="SM" + "b" * 32))
    assert (record.button_payload, record.replied_to) == ("yes-17", "SM" + "b" * 32)


def test_a_message_of_a_channel_nobody_knows_is_kept_and_told() -> None:
    accepted = written(From="messenger:123", To="messenger:456")
    assert (message(accepted).channel, message(accepted).recipient) == (Channel.OTHER, "123")
    assert accepted.oddities == (Oddity.UNKNOWN_CHANNEL,)


def test_a_keyword_is_an_event_behind_the_message_under_the_same_key() -> None:
    accepted = written("ack 17", Section(keywords={"ack": keyword("ACK <incident>", "Thanks")}))
    first, second = accepted.records
    assert (first.topic, second.topic, first.key) == (Topic.INBOUND, Topic.KEYWORDS, second.key)
    assert isinstance(second.record, KeywordMatched)
    assert (second.record.keyword, second.record.argument, second.record.message_sid) == ("ACK", "17", SID)
    assert b"<Message>Thanks</Message>" in accepted.answer.body


@pytest.mark.parametrize("missing", ["From", "To", "MessageSid"])
def test_a_message_that_cannot_be_identified_is_refused(missing: str) -> None:
    parameters = inbound_form(SID) | {"SmsMessageSid": "", missing: ""}
    context = InboundContext({}, Answers(), LoopGuard())
    assert isinstance(inbound(Form.of(parameters.items()), context, NOW), Refusal)


def test_every_topic_that_may_be_written_to_carries_the_record_it_is_given() -> None:
    specs = load_topics().topics
    assert {topic: record.__name__ for topic, record in RECORDS.items()} == {
        topic: spec.record for topic, spec in specs.items() if "ingress" in spec.written_by
    }
