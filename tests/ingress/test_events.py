"""From parameters to records: what Twilio says is kept, and copies are recognised as such."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.events import inbound_message, provider_status
from ingress.form import Form, parse_form
from ingress.refusals import Reason, Refusal
from schemas.identity import AttemptRef, notification_id
from schemas.records import InboundMessage, Media, ProviderStatus
from schemas.vocabulary import Channel
from tests.ingress.twilio_side import ACCOUNT, inbound_form, new_sid, status_form

SID = "SM" + "a" * 32
OURS = AttemptRef(notification_id("acme", "order-1"), 2)
NOW = 1_790_000_000_000


def status(
    attempt: AttemptRef | None = OURS, at: int = NOW, sid: str = SID, **changed: str
) -> ProviderStatus:
    record = provider_status(Form.of(status_form(sid, **changed).items()), attempt, at)
    assert isinstance(record, ProviderStatus)
    return record


def inbound(sid: str = SID, tenants: dict[str, str] | None = None, **changed: str) -> InboundMessage:
    record = inbound_message(Form.of(inbound_form(sid, **changed).items()), tenants or {}, NOW)
    assert isinstance(record, InboundMessage)
    return record


def refusal(parameters: dict[str, str]) -> Refusal:
    found = provider_status(Form.of(parameters.items()), OURS, NOW)
    assert isinstance(found, Refusal)
    return found


def test_a_status_callback_becomes_a_record() -> None:
    parameters = status_form(SID, "undelivered", ErrorCode="30003", RawDlrDoneDate="2611210945")
    record = provider_status(Form.of(parameters.items()), OURS, NOW)
    assert isinstance(record, ProviderStatus)
    assert msgspec.structs.asdict(record) | {"event_id": ""} == {
        "event_id": "",
        "provider": "twilio",
        "account_sid": ACCOUNT,
        "message_sid": SID,
        "notification_id": OURS.notification_id,
        "attempt": 2,
        "status": "undelivered",
        "error_code": 30003,
        "channel": Channel.SMS,
        "recipient": "+14155550123",
        "sender": "+14155550100",
        "received_at": NOW,
        "source": "callback",
        "raw_dlr_done_date": "2611210945",
        "segments": None,
        "price": None,
        "price_unit": None,
        "parameters": parameters,
    }


def test_a_repeated_callback_has_the_same_event_id_whenever_it_comes() -> None:
    assert status().event_id == status(at=NOW + 5_000, RawDlrDoneDate="2611210945").event_id


@pytest.mark.parametrize(
    "other",
    [
        status(sid="SM" + "b" * 32),
        status(status="sent"),
        status(ErrorCode="30003"),
        status(attempt=OURS._replace(attempt=3)),
        status(attempt=OURS._replace(notification_id=notification_id("acme", "order-2"))),
        status(attempt=None),
    ],
)
def test_another_event_has_another_id(other: ProviderStatus) -> None:
    assert other.event_id != status().event_id


def test_a_status_nobody_knows_is_kept() -> None:
    assert status(status="Teleported").status == "teleported"


def test_a_callback_of_a_message_we_did_not_send_names_no_notification() -> None:
    record = status(attempt=None)
    assert (record.notification_id, record.attempt) == (None, None)


def test_the_old_names_of_the_parameters_are_understood() -> None:
    form = Form.of({"AccountSid": ACCOUNT, "SmsSid": SID, "SmsStatus": "sent"}.items())
    record = provider_status(form, None, NOW)
    assert isinstance(record, ProviderStatus)
    assert (record.message_sid, record.status, record.recipient) == (SID, "sent", None)


@pytest.mark.parametrize("code", ["", "none", "-1", "12345678901", "3.5", "٣"])
def test_an_error_code_that_is_no_number_is_kept_among_the_parameters_only(code: str) -> None:
    record = status(ErrorCode=code)
    assert (record.error_code, record.parameters["ErrorCode"]) == (None, code)


@pytest.mark.parametrize(
    ("channel", "sid", "parameters"),
    [
        (Channel.SMS, SID, {}),
        (Channel.MMS, "MM" + "a" * 32, {}),
        (Channel.WHATSAPP, SID, {"To": "whatsapp:+14155550123", "From": "whatsapp:+14155550100"}),
        (Channel.WHATSAPP, "MM" + "a" * 32, {"To": "whatsapp:+14155550123"}),
        (Channel.WHATSAPP, SID, {"ChannelPrefix": "whatsapp"}),
        (Channel.RCS, SID, {"From": "rcs:brand_agent"}),
    ],
)
def test_the_channel_is_told_by_prefix_then_by_sid(
    channel: Channel, sid: str, parameters: dict[str, str]
) -> None:
    assert status(sid=sid, **parameters).channel is channel


def test_addresses_lose_their_channel_prefix() -> None:
    record = status(To="whatsapp:+14155550123", From="whatsapp:+14155550100")
    assert (record.recipient, record.sender) == ("+14155550123", "+14155550100")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"MessageSid": "", "SmsSid": ""}, Reason.MISSING_PARAMETER),
        ({"MessageStatus": " ", "SmsStatus": ""}, Reason.MISSING_PARAMETER),
        ({"MessageSid": "SM123"}, Reason.BAD_PARAMETER),
        ({"MessageSid": "SM" + "g" * 32}, Reason.BAD_PARAMETER),
    ],
)
def test_what_cannot_be_a_status_is_refused_with_its_reason(changed: dict[str, str], reason: Reason) -> None:
    found = refusal(status_form(SID) | changed)
    assert (found.reason, found.reason.status) == (reason, 400)


def test_a_refusal_shows_no_value() -> None:
    assert "14155550123" not in refusal(status_form("+14155550123")).detail


@pytest.mark.parametrize("changed", [{"To": "messenger:12345"}, {"ChannelPrefix": "pigeon"}])
def test_a_channel_nobody_knows_is_kept_under_one_word_with_its_prefix_among_the_parameters(
    changed: dict[str, str],
) -> None:
    record = status(**changed)
    assert record.channel is Channel.OTHER
    assert changed.items() <= record.parameters.items()


def test_an_address_of_a_channel_nobody_knows_loses_its_prefix_only() -> None:
    assert status(To="line:U12:34").recipient == "U12:34"


def test_an_inbound_message_becomes_a_record() -> None:
    record = inbound(body="Hé ☃", OptOutType="stop", MediaUrl0="https://m/0", MediaContentType0="image/png")
    assert (record.recipient, record.sender, record.body) == ("+14155550123", "+14155550100", "Hé ☃")
    assert record.media == (Media(url="https://m/0", content_type="image/png"),)
    assert (record.opt_out_type, record.received_at, record.channel) == ("STOP", NOW, Channel.SMS)


def test_all_attachments_are_kept_in_order() -> None:
    urls = {f"MediaUrl{index}": f"https://m/{index}" for index in range(10)}
    assert [media.url for media in inbound(**urls).media] == list(urls.values())


def test_an_empty_body_is_a_message_too() -> None:
    assert inbound(body="").body == ""


@pytest.mark.parametrize("missing", ["From", "To", "MessageSid"])
def test_an_inbound_message_without_an_address_or_sid_is_refused(missing: str) -> None:
    parameters = inbound_form(SID) | {"SmsMessageSid": "", missing: ""}
    found = inbound_message(Form.of(parameters.items()), {}, NOW)
    assert isinstance(found, Refusal)
    assert (found.reason, missing in found.detail) == (Reason.MISSING_PARAMETER, True)


@pytest.mark.parametrize(
    ("tenants", "tenant"),
    [
        ({}, "*"),
        ({"+14155550100": "acme"}, "acme"),
        ({"whatsapp:+14155550100": "chat", "+14155550100": "acme"}, "chat"),
        ({"MG" + "1" * 32: "service"}, "service"),
        ({"+1": "other"}, "*"),
    ],
)
def test_the_tenant_is_that_of_the_sender_written_to(tenants: dict[str, str], tenant: str) -> None:
    record = inbound(tenants=tenants, To="whatsapp:+14155550100", MessagingServiceSid="MG" + "1" * 32)
    assert record.tenant == tenant


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_every_parameter_is_kept_verbatim(more: dict[str, str]) -> None:
    parameters = {f"X{name}": value for name, value in more.items()} | status_form(new_sid())
    form = parse_form(urlencode(parameters).encode())
    assert isinstance(form, Form)
    record = provider_status(form, None, NOW)
    assert isinstance(record, ProviderStatus)
    assert record.parameters == parameters


@given(st.binary(max_size=300))
def test_no_bytes_make_the_form_raise(encoded: bytes) -> None:
    found = parse_form(encoded)
    assert isinstance(found, Form) or found.reason is Reason.NOT_A_FORM


@pytest.mark.parametrize("encoded", [b"Body=%ff", b"Body=\xff", b"a=1&" * 501])
def test_bytes_that_are_no_form_are_refused(encoded: bytes) -> None:
    found = parse_form(encoded)
    assert isinstance(found, Refusal)
    assert found.reason.status == 400


def test_of_a_repeated_parameter_the_first_value_counts_and_all_are_signed() -> None:
    form = parse_form(b"AccountSid=first&AccountSid=second")
    assert isinstance(form, Form)
    assert (form.get("AccountSid"), len(form.pairs)) == ("first", 2)


def test_every_reason_has_a_client_error_status() -> None:
    assert all(400 <= reason.status < 500 for reason in Reason)
