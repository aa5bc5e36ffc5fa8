"""What intake makes of a producer's request: normalised, or refused with a reason its producer can use."""

from __future__ import annotations

from typing import Any

import msgspec
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import notification_id
from schemas.records import NotificationRequest, NotifyRequest, Origin, Step, StepRequest, Template
from schemas.vocabulary import Category, Channel, Priority
from streams.intake import MAX_BODY, MAX_MEDIA, IntakePolicy, Unidentifiable, content_hash, normalise
from streams.templates import TemplateTexts

ORIGIN = Origin(topic="notify.requested", partition=3, offset=17)
AT = 1_790_000_000_000
POLICY = IntakePolicy(
    templates={
        "shipped": TemplateTexts(texts={"en": "Order {order} shipped."}),
        "hallo": TemplateTexts(texts={"de": "Hallo!"}),
    }
)
URL = "https://cdn.example.com/a.jpg"


def ask(**changes: Any) -> NotifyRequest:
    values: dict[str, Any] = {
        "tenant": "acme",
        "idempotency_key": "k",
        "recipient": "+4915123456789",
        "body": "hello",
    }
    return NotifyRequest(**(values | changes))


def taken(policy: IntakePolicy = POLICY, **changes: Any) -> NotificationRequest:
    """The normalised request, which must not be refused."""
    found = normalise(ask(**changes), ORIGIN, AT, policy)
    assert found.refusal is None, found.refusal_detail
    return found


def step(policy: IntakePolicy = POLICY, **changes: Any) -> Step:
    """The only step of a request that must not be refused."""
    (only,) = taken(policy, **changes).steps
    return only


def refused(policy: IntakePolicy = POLICY, **changes: Any) -> tuple[str, str]:
    """(reason, what the producer is told) of a request that must be refused."""
    found = normalise(ask(**changes), ORIGIN, AT, policy)
    assert found.refusal is not None, "it was not refused"
    return found.refusal, found.refusal_detail or ""


# -- identity --------------------------------------------------------------------------------------------


def test_tenant_and_key_alone_decide_the_id() -> None:
    assert taken().notification_id == notification_id("acme", "k")
    assert taken(body="other", recipient="+4915123456780").notification_id == taken().notification_id
    assert taken(tenant="other").notification_id != taken().notification_id


def test_tenant_and_key_do_not_run_into_each_other() -> None:
    assert notification_id("a", "bc") != notification_id("ab", "c")


@pytest.mark.parametrize("missing", [{"tenant": " "}, {"idempotency_key": ""}], ids=["tenant", "key"])
def test_a_request_that_names_no_notification_cannot_be_answered(missing: dict[str, str]) -> None:
    with pytest.raises(Unidentifiable, match="must not be empty"):
        normalise(ask(**missing), ORIGIN, AT, POLICY)


@pytest.mark.parametrize("field", ["tenant", "idempotency_key"])
def test_a_name_too_long_to_carry_about_cannot_be_answered(field: str) -> None:
    normalise(ask(**{field: "x" * 255}), ORIGIN, AT, POLICY)
    with pytest.raises(Unidentifiable, match="255"):
        normalise(ask(**{field: "x" * 256}), ORIGIN, AT, POLICY)


def test_where_and_when_it_was_asked_are_kept() -> None:
    assert (taken().origin, taken().requested_at) == (ORIGIN, AT)


# -- content hash ----------------------------------------------------------------------------------------

CONTENT_CHANGES: dict[str, Any] = {
    "recipient": "+4915123456780",
    "region": "DE",
    "channels": ("whatsapp",),
    "body": "another",
    "template": Template(name="shipped"),
    "media_urls": (URL,),
    "category": "marketing",
    "priority": "bulk",
    "send_at": AT,
    "expires_at": AT,
    "sender": "+14155550199",
    "contacts": {"email": "ada@example.com"},
    "steps": (StepRequest(channel="sms"),),
    "smart_encoding": False,
}
OURS = {"tenant", "idempotency_key", "metadata"}


@pytest.mark.parametrize("field", CONTENT_CHANGES)
def test_the_content_hash_changes_with_every_field_of_the_content(field: str) -> None:
    assert content_hash(ask(**{field: CONTENT_CHANGES[field]})) != content_hash(ask())


def test_no_field_was_forgotten_above() -> None:
    assert set(CONTENT_CHANGES) | OURS == {field.name for field in msgspec.structs.fields(NotifyRequest)}


@pytest.mark.parametrize(
    ("request_", "known"),
    [
        (ask(), "273fb0955dd0aa32e349c1f4b8b7d5a256a308e9868ae53b2941dfed4c5a5678"),
        (ask(channels=("sms",)), "273fb0955dd0aa32e349c1f4b8b7d5a256a308e9868ae53b2941dfed4c5a5678"),
        (
            ask(
                recipient="01512 3456789",
                region="DE",
                channels=("whatsapp", "sms"),
                body=None,
                template=Template(name="shipped", variables={"order": "7", "name": "Ada"}, locale="pt-BR"),
                media_urls=(URL,),
                category="marketing",
                priority="bulk",
                send_at=AT,
                expires_at=AT + 600_000,
                sender="+14155550199",
                contacts={"email": "ada@example.com"},
                metadata={"campaign": "autumn"},
            ),
            "e2ffbb4345bbbd1ba6996ca821391fad525893725b7114d1ff2ea8da7e95f9c6",
        ),
    ],
    ids=["plain", "channel-named", "full"],
)
def test_a_request_without_newer_fields_has_the_hash_it_had_before_there_were_any(
    request_: NotifyRequest, known: str
) -> None:
    assert content_hash(request_) == known


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "whatsapp"},
        {"body": "own"},
        {"template": Template(name="shipped")},
        {"media_urls": (URL,)},
        {"sender": "+14155550199"},
        {"wait_ms": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_content_hash_changes_with_every_field_of_a_step(change: dict[str, Any]) -> None:
    one = StepRequest(channel="sms")
    other = msgspec.structs.replace(one, **change)
    assert content_hash(ask(steps=(one,))) != content_hash(ask(steps=(other,)))
    assert content_hash(ask(steps=(one, other))) != content_hash(ask(steps=(other, one)))


def test_the_content_hash_does_not_see_the_metadata() -> None:
    assert content_hash(ask(metadata={"campaign": "autumn"})) == content_hash(ask())


def test_the_content_hash_does_not_see_the_order_of_variables() -> None:
    one = Template(name="t", variables={"a": "1", "b": "2"})
    other = Template(name="t", variables={"b": "2", "a": "1"})
    assert content_hash(ask(template=one)) == content_hash(ask(template=other))


# -- recipient -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["+49 1512 3456789", "+49-1512-3456789", "+49 (0) 1512 3456789", "+4915123456789"]
)
def test_a_number_is_carried_in_e164_however_it_was_written(written: str) -> None:
    assert taken(recipient=written).recipient == "+4915123456789"


@pytest.mark.parametrize("region", ["DE", "de", " De "])
def test_a_national_number_is_completed_by_its_region(region: str) -> None:
    found = taken(recipient="01512 3456789", region=region)
    assert (found.recipient, found.country) == ("+4915123456789", "DE")


def test_a_national_number_is_completed_by_the_region_of_the_deployment() -> None:
    policy = IntakePolicy(default_region="US")
    assert taken(policy, recipient="(415) 555-2671").recipient == "+14155552671"


def test_the_region_of_the_request_goes_before_that_of_the_deployment() -> None:
    policy = IntakePolicy(default_region="US")
    assert taken(policy, recipient="01512 3456789", region="DE").country == "DE"


def test_a_national_number_without_a_region_is_refused_with_how_to_write_it() -> None:
    reason, told = refused(recipient="01512 3456789")
    assert reason == "invalid-number"
    assert "+<country code>" in told


@pytest.mark.parametrize(
    "recipient",
    ["", "hello", "+", "+1", "+99912345678", "+4915", "+1415555", "+1234567890123456789", "+12025550"],
)
def test_what_is_no_number_or_cannot_exist_is_refused(recipient: str) -> None:
    assert refused(recipient=recipient)[0] == "invalid-number"


def test_an_impossible_number_is_told_apart_from_no_number() -> None:
    assert "cannot exist" in refused(recipient="+1 000 555 0100")[1]
    assert "not a phone number" in refused(recipient="Ada")[1]


def test_a_region_nobody_knows_is_refused() -> None:
    assert refused(recipient="01512 3456789", region="Germany")[0] == "invalid-number"


def test_the_country_is_that_of_the_number() -> None:
    assert taken(recipient="+14155552671").country == "US"
    assert taken(recipient="+16135550123").country == "CA"  # the same country code


def test_the_carrier_is_told_by_the_prefix_where_one_is_known() -> None:
    found = taken(recipient="+4915123456789")
    assert (found.carrier, found.carrier_source) == ("T-Mobile", "prefix")


def test_a_carrier_nobody_can_tell_is_unknown_and_not_guessed() -> None:
    found = taken(recipient="+14155552671")
    assert (found.carrier, found.carrier_source) == ("unknown", "unknown")


# -- content ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, "", "  \n"])
def test_nothing_to_say_is_refused(body: str | None) -> None:
    assert refused(body=body)[0] == "empty-body"


def test_media_alone_is_something_to_say() -> None:
    assert step(body=None, media_urls=(URL,), channels=("mms",)).media_urls == (URL,)


def test_two_contents_are_refused() -> None:
    assert refused(template=Template(name="shipped", variables={"order": "1"}))[0] == "two-contents"


def test_a_template_is_filled() -> None:
    found = step(body=None, template=Template(name="shipped", variables={"order": "7"}))
    assert found.body == "Order 7 shipped."


def test_a_template_kept_by_the_provider_is_passed_on() -> None:
    sid = "HX" + "0" * 32
    found = step(body=None, template=Template(name=sid, variables={"1": "x"}))
    assert (found.body, found.content_sid, found.content_variables) == (None, sid, {"1": "x"})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (Template(name="nobody"), "unknown-template"),
        (Template(name="hallo", locale="fr"), "unknown-locale"),
        (Template(name="shipped"), "missing-variable"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: Template, reason: str) -> None:
    assert refused(body=None, template=template)[0] == reason


def test_a_text_of_the_longest_length_is_taken_and_a_longer_one_refused() -> None:
    assert step(body="a" * MAX_BODY).body == "a" * MAX_BODY
    reason, told = refused(body="a" * (MAX_BODY + 1))
    assert reason == "body-too-long"
    assert "1601" in told


def test_a_template_that_gets_too_long_when_filled_is_refused() -> None:
    template = Template(name="shipped", variables={"order": "7" * MAX_BODY})
    assert refused(body=None, template=template)[0] == "body-too-long"


def test_ten_media_are_taken_and_eleven_refused() -> None:
    assert len(step(media_urls=(URL,) * MAX_MEDIA).media_urls) == MAX_MEDIA
    assert refused(media_urls=(URL,) * (MAX_MEDIA + 1))[0] == "too-many-media"


@pytest.mark.parametrize(
    "url", ["", "a.jpg", "ftp://example.com/a", "file:///a.jpg", "https://", "http://[half"]
)
def test_a_media_url_nobody_could_fetch_is_refused(url: str) -> None:
    assert refused(media_urls=(URL, url))[0] == "bad-media-url"


# -- words -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason", "known"),
    [
        ({"channels": ("sms", "pigeon")}, "unknown-channel", "whatsapp"),
        ({"channels": ("other",)}, "unknown-channel", "whatsapp"),
        ({"category": "spam"}, "unknown-category", "marketing"),
        ({"priority": "asap"}, "unknown-priority", "urgent"),
    ],
)
def test_a_word_nobody_knows_is_refused_with_those_that_are_known(
    change: dict[str, Any], reason: str, known: str
) -> None:
    found, told = refused(**change)
    assert found == reason
    assert known in told


def test_channels_keep_their_order_and_lose_their_copies() -> None:
    found = taken(channels=("whatsapp", "sms", "whatsapp"))
    assert found.channels == (Channel.WHATSAPP, Channel.SMS)


def test_what_is_left_out_has_its_default() -> None:
    found = taken()
    assert (found.channels, found.category, found.priority) == (
        (Channel.SMS,),
        Category.TRANSACTIONAL,
        Priority.NORMAL,
    )


@pytest.mark.parametrize("send_at", [AT, AT + 1])
def test_a_request_worthless_before_it_may_be_sent_is_refused(send_at: int) -> None:
    assert refused(send_at=send_at, expires_at=AT)[0] == "expires-before-send"


# -- size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["metadata", "contacts"])
def test_labels_too_large_to_carry_about_are_refused_and_left_behind(field: str) -> None:
    # Request, row and outcome carry them: one larger than the broker takes would stop the partition.
    found = normalise(ask(**{field: {"a": "x" * 40_000}}), ORIGIN, AT, POLICY)
    assert found.refusal == "too-large"
    assert len(msgspec.json.encode(found)) < 5_000


def test_a_refused_request_is_never_larger_than_one_that_is_taken() -> None:
    big = ask(
        body="x" * 500_000, media_urls=(URL * 1_000,) * 99, sender="y" * 90_000, recipient="z" * 90_000,
        channels=("q" * 90_000,), template=Template(name="n" * 90_000),
    )  # fmt: skip
    found = normalise(big, ORIGIN, AT, POLICY)
    assert found.refusal is not None
    assert len(msgspec.json.encode(found)) < 5_000


# -- all of it -------------------------------------------------------------------------------------------


def test_the_producers_labels_and_contacts_are_returned_as_they_came() -> None:
    found = taken(
        metadata={"campaign": "autumn"}, contacts={"email": "ada@example.com"}, sender="+14155550199"
    )
    assert found.metadata == {"campaign": "autumn"}
    assert found.contacts == {"email": "ada@example.com"}
    assert found.steps[0].sender == "+14155550199"


words = st.one_of(st.sampled_from(["sms", "whatsapp", "otp", "normal"]), st.text(max_size=8))
templates = st.one_of(
    st.none(),
    st.builds(Template, name=st.one_of(st.text(max_size=8), st.just("HX0")), locale=st.text(max_size=8)),
)
media = st.lists(st.one_of(st.text(max_size=30), st.just(URL)), max_size=2).map(tuple)
steps = st.builds(
    StepRequest,
    channel=st.sampled_from(["sms", "mms", "whatsapp", "rcs", "pigeon"]),
    body=st.one_of(st.none(), st.text(max_size=40)),
    template=templates,
    media_urls=media,
    wait_ms=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 100_000)),
)
anything = st.builds(
    NotifyRequest,
    tenant=st.just("acme"),
    idempotency_key=st.text(min_size=1, max_size=20).filter(str.strip),
    recipient=st.one_of(st.text(max_size=20), st.from_regex(r"\+[0-9]{4,16}", fullmatch=True)),
    region=st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["US", "DE"])),
    channels=st.lists(words, max_size=3).map(tuple),
    body=st.one_of(st.none(), st.text(max_size=40)),
    template=templates,
    media_urls=media,
    steps=st.lists(steps, max_size=3).map(tuple),
    smart_encoding=st.one_of(st.none(), st.booleans()),
    category=words,
    priority=words,
    send_at=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    expires_at=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    sender=st.one_of(st.none(), st.text(max_size=20)),
)


@given(anything)
def test_whatever_is_asked_is_answered_and_only_a_whole_request_is_taken(request: NotifyRequest) -> None:
    found = normalise(request, ORIGIN, AT, POLICY)
    assert found == normalise(request, ORIGIN, AT, POLICY)
    if found.refusal is None:
        assert phonenumbers.is_valid_number(phonenumbers.parse(found.recipient))
        assert found.channels == tuple(each.channel for each in found.steps) != ()
        for each in found.steps:
            assert each.body or each.content_sid or each.media_urls
            assert len(each.body or "") <= MAX_BODY
    else:
        assert found.refusal_detail
        assert found.steps == ()
