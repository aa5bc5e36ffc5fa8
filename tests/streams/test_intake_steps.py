"""The chain of a request: which steps it becomes, and what each says, counts and costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import NotificationRequest, NotifyRequest, Origin, Step, StepRequest, Template
from schemas.vocabulary import Category, Channel
from streams.intake import (
    MAX_BODY,
    MAX_STEPS,
    MAX_WAIT_MS,
    IntakePolicy,
    normalise,
)
from streams.policy import ChainStep, Policies, Prices, TenantPolicy
from streams.segments import segments
from streams.smart_encoding import smart_encoded
from streams.templates import TemplateTexts

SID = "HX" + "0" * 32
URL, OTHER_URL = "https://cdn.example.com/a.jpg", "https://cdn.example.com/b.jpg"
PRICES = Prices(
    currency="EUR",
    per_segment={
        "DE": {Channel.SMS: Decimal("0.0750"), Channel.WHATSAPP: Decimal("0.05")},
        "*": {Channel.SMS: Decimal("0.1")},
    },
)
CHAINS: dict[Category, tuple[ChainStep, ...]] = {
    Category.OTP: (ChainStep(Channel.WHATSAPP, 30_000), ChainStep(Channel.SMS)),
    Category.MARKETING: (ChainStep(Channel.MMS), ChainStep(Channel.SMS)),
    Category.TRANSACTIONAL: (
        ChainStep(Channel.WHATSAPP, template=SID, sender="whatsapp:+14155550188"),
        ChainStep(Channel.SMS),
    ),
}
TENANTS = {
    "chained": TenantPolicy(chains=CHAINS),
    "paying": TenantPolicy(prices=PRICES),
    "smart": TenantPolicy(smart_encoding=True),
}
POLICY = IntakePolicy(
    templates={
        "plain": TemplateTexts(texts={"en": "Order {order}."}),
        "approved": TemplateTexts(
            texts={"en": "Order {order}!"}, content_sids={"en": SID}, content_variables={"1": "order"}
        ),
    },
    policies=Policies(tenants=TENANTS),
)
PLAIN = Template(name="plain", variables={"order": "7"})
APPROVED = Template(name="approved", variables={"order": "7"})
AT_PROVIDER = Template(name=SID, variables={"1": "x"})


def normal(*steps: StepRequest, **changes: Any) -> NotificationRequest:
    values: dict[str, Any] = {
        "tenant": "acme", "idempotency_key": "k", "recipient": "+4915123456789", "body": "hello",
    }  # fmt: skip
    request = NotifyRequest(**(values | changes), steps=steps)
    return normalise(request, Origin(topic="t", partition=0, offset=0), 0, POLICY)


def chain(*steps: StepRequest, **changes: Any) -> tuple[Step, ...]:
    found = normal(*steps, **changes)
    assert found.refusal is None, found.refusal_detail
    return found.steps


def refused(*steps: StepRequest, **changes: Any) -> tuple[str, str]:
    found = normal(*steps, **changes)
    assert found.refusal is not None, "it was not refused"
    assert found.steps == ()
    return found.refusal, found.refusal_detail or ""


def by(channel: str, **said: Any) -> StepRequest:
    return StepRequest(channel=channel, **said)


# -- which steps -----------------------------------------------------------------------------------------


def test_channels_become_steps_of_the_same_content_that_wait_for_no_deadline() -> None:
    assert [(s.channel, s.body, s.wait_ms) for s in chain(channels=("rcs", "sms", "rcs"))] == [
        (Channel.RCS, "hello", None),
        (Channel.SMS, "hello", None),
    ]


def test_the_channels_of_a_request_are_those_of_its_steps() -> None:
    found = normal(by("sms", sender="+14155550100"), by("sms", sender="+14155550101"))
    assert found.channels == (Channel.SMS, Channel.SMS)


def test_neither_steps_nor_channels_is_the_tenants_chain_for_the_category() -> None:
    assert [(s.channel, s.wait_ms) for s in chain(tenant="chained", category="otp")] == [
        (Channel.WHATSAPP, 30_000),
        (Channel.SMS, None),
    ]


def test_a_tenant_without_a_chain_for_the_category_goes_by_sms() -> None:
    assert [s.channel for s in chain(category="otp")] == [Channel.SMS]


def test_a_step_of_the_tenants_chain_may_have_its_sender_and_an_approved_template() -> None:
    whatsapp, sms = chain(tenant="chained", sender="+14155550100")
    assert (whatsapp.sender, whatsapp.body, whatsapp.content_sid) == ("+14155550188", "hello", SID)
    assert (sms.sender, sms.body, sms.content_sid) == ("+14155550100", "hello", None)


def test_a_template_of_the_tenants_chain_is_filled_with_the_requests_variables() -> None:
    whatsapp, sms = chain(tenant="chained", body=None, template=PLAIN)
    assert (whatsapp.content_sid, whatsapp.content_variables) == (SID, {"order": "7"})
    assert whatsapp.body == "Order 7."  # within 24 hours of a message of the recipient
    assert sms.body == "Order 7."


def test_the_mms_steps_of_a_tenants_chain_are_passed_over_without_media() -> None:
    assert [s.channel for s in chain(tenant="chained", category="marketing")] == [Channel.SMS]
    assert [s.channel for s in chain(tenant="chained", category="marketing", media_urls=(URL,))] == [
        Channel.MMS,
        Channel.SMS,
    ]


def test_steps_and_channels_together_are_refused() -> None:
    assert refused(by("sms"), channels=("sms",))[0] == "steps-and-channels"


def test_ten_steps_are_taken_and_eleven_refused() -> None:
    assert len(chain(*[by("sms")] * MAX_STEPS)) == MAX_STEPS
    assert refused(*[by("sms")] * (MAX_STEPS + 1))[0] == "too-many-steps"


# -- refusals name the step ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (by("pigeon"), "unknown-channel"),
        (by("other"), "unknown-channel"),
        (by("sms", wait_ms=-1), "negative-wait"),
        (by("sms", wait_ms=MAX_WAIT_MS + 1), "wait-too-long"),
        (by("sms", body="x", template=PLAIN), "two-contents"),
        (by("whatsapp", body="x", template=PLAIN), "two-contents"),
        (by("sms", template=Template(name="nobody")), "unknown-template"),
        (by("sms", template=Template(name="plain")), "missing-variable"),
        (by("sms", body="  "), "empty-body"),
        (by("sms", body="x" * (MAX_BODY + 1)), "body-too-long"),
        (by("mms"), "no-media"),
        (by("mms", media_urls=("ftp://x",)), "bad-media-url"),
        (by("mms", media_urls=(URL,) * 11), "too-many-media"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_step_that_cannot_be_sent_refuses_the_request_and_is_named(wrong: StepRequest, reason: str) -> None:
    found, told = refused(by("sms"), wrong)
    assert found == reason
    assert told.startswith(f"step 2 ({wrong.channel}): ")


def test_the_only_channel_of_a_request_needs_no_name() -> None:
    assert refused(body="")[1].startswith("there is nothing to say")
    assert refused(body="", channels=("sms", "rcs"))[1].startswith("step 1 (sms): there is nothing to say")


def test_a_wait_of_nothing_and_the_longest_are_taken() -> None:
    assert [s.wait_ms for s in chain(by("rcs", wait_ms=0), by("sms", wait_ms=MAX_WAIT_MS))] == [
        0,
        MAX_WAIT_MS,
    ]


def test_steps_that_repeat_too_much_are_refused_before_a_broker_refuses_them() -> None:
    url = "https://cdn.example.com/" + "a" * 1_500
    found = normal(*[by("mms")] * MAX_STEPS, media_urls=(url,) * 10)
    assert found.refusal == "too-large"
    assert len(msgspec.json.encode(found)) < 5_000


# -- what a step says ------------------------------------------------------------------------------------


def test_a_step_has_from_the_request_what_it_leaves_out() -> None:
    (only,) = chain(by("mms"), media_urls=(URL,), sender="+14155550100")
    assert (only.body, only.media_urls, only.sender) == ("hello", (URL,), "+14155550100")
    (other,) = chain(by("rcs"), body=None, template=PLAIN)
    assert other.body == "Order 7."


def test_what_a_step_says_itself_goes_before_the_request() -> None:
    own = by("mms", body="own", media_urls=(OTHER_URL,), sender="+14155550199")
    (only,) = chain(own, body=None, template=PLAIN, media_urls=(URL,), sender="+14155550100")
    assert (only.body, only.media_urls, only.sender) == ("own", (OTHER_URL,), "+14155550199")


def test_a_request_needs_no_content_when_every_step_has_its_own() -> None:
    first, second = chain(by("rcs", template=PLAIN), by("sms", body="short"), body=None)
    assert (first.body, second.body) == ("Order 7.", "short")


def test_a_template_at_the_provider_replaces_the_text_of_another_channel() -> None:
    (only,) = chain(by("sms", template=AT_PROVIDER))
    assert (only.body, only.content_sid, only.content_variables) == (None, SID, {"1": "x"})


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        (by("whatsapp", body="hello", template=AT_PROVIDER), {"body": None}),
        (by("whatsapp", template=AT_PROVIDER), {"body": "hello"}),
        (by("whatsapp", body="hello"), {"body": None, "template": AT_PROVIDER}),
    ],
    ids=["both-own", "own-template", "own-text"],
)
def test_whatsapp_may_have_a_text_and_an_approved_template(
    asked: StepRequest, request_: dict[str, Any]
) -> None:
    (only,) = chain(asked, **request_)
    assert (only.body, only.content_sid, only.content_variables) == ("hello", SID, {"1": "x"})


def test_an_approved_template_of_ours_is_text_and_template_on_whatsapp_and_text_elsewhere() -> None:
    whatsapp, sms = chain(by("whatsapp"), by("sms"), body=None, template=APPROVED)
    assert (whatsapp.body, whatsapp.content_sid, whatsapp.content_variables) == ("Order 7!", SID, {"1": "7"})
    assert (sms.body, sms.content_sid, sms.content_variables) == ("Order 7!", None, {})


def test_a_text_beside_an_approved_template_of_ours_is_the_text() -> None:
    (only,) = chain(by("whatsapp", body="own", template=APPROVED), body=None)
    assert (only.body, only.content_sid) == ("own", SID)


def test_a_template_of_ours_goes_before_the_requests_text() -> None:
    (only,) = chain(by("whatsapp", template=PLAIN))
    assert (only.body, only.content_sid) == ("Order 7.", None)


# -- MMS, then SMS with a link -----------------------------------------------------------------------------


def test_an_sms_after_an_mms_points_to_its_media() -> None:
    mms, sms = chain(by("mms"), by("sms"), media_urls=(URL, OTHER_URL))
    assert (mms.body, mms.media_urls) == ("hello", (URL, OTHER_URL))
    assert (sms.body, sms.media_urls) == (f"hello\n{URL}\n{OTHER_URL}", ())
    assert sms.segments == segments(sms.body or "").number


def test_channels_get_the_link_as_steps_do() -> None:
    assert chain(channels=("mms", "sms"), media_urls=(URL,))[1].body == f"hello\n{URL}"


def test_an_sms_after_an_mms_without_text_is_the_link_alone() -> None:
    assert chain(by("mms"), by("sms"), body=None, media_urls=(URL,))[1].body == URL


def test_an_sms_with_a_text_of_its_own_gets_no_link_and_no_media() -> None:
    _, sms = chain(by("mms"), by("sms", body="see our app"), media_urls=(URL,))
    assert (sms.body, sms.media_urls) == ("see our app", ())


def test_an_sms_before_the_mms_gets_no_link() -> None:
    sms, _ = chain(by("sms"), by("mms"), media_urls=(URL,))
    assert sms.body == "hello"


def test_a_link_that_makes_the_text_too_long_is_refused() -> None:
    reason, told = refused(by("mms"), by("sms"), body="x" * (MAX_BODY - 5), media_urls=(URL,))
    assert reason == "body-too-long"
    assert told.startswith("step 2 (sms): ")


# -- counts, smart encoding, cost --------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=300).filter(str.strip))
def test_an_sms_is_counted_by_its_text_and_everything_else_is_one(text: str) -> None:
    sms, whatsapp = chain(by("sms"), by("whatsapp"), body=text)
    assert (sms.encoding, sms.segments) == segments(text)
    assert whatsapp.segments == 1


@given(st.text(alphabet="ab“”…–\u00a0ж😀", min_size=1, max_size=300).filter(str.strip))
def test_with_smart_encoding_what_is_counted_is_the_result_and_what_is_sent_the_text(text: str) -> None:
    (only,) = chain(tenant="smart", body=text)
    assert only.smart_encoded
    assert only.body == text
    assert (only.encoding, only.segments) == segments(smart_encoded(text))


def test_curly_quotes_cost_a_second_segment_only_without_smart_encoding() -> None:
    text = "“" + "a" * 100 + "”"
    assert [chain(body=text, smart_encoding=asked)[0].segments for asked in (True, False)] == [1, 2]


@pytest.mark.parametrize(
    ("tenant", "asked", "smart"),
    [
        ("acme", None, False), ("acme", True, True), ("acme", False, False),
        ("smart", None, True), ("smart", True, True), ("smart", False, False),
    ],
)  # fmt: skip
def test_the_request_decides_on_smart_encoding_and_else_the_tenant(
    tenant: str, asked: bool | None, smart: bool
) -> None:
    assert chain(tenant=tenant, smart_encoding=asked)[0].smart_encoded is smart


def test_only_a_text_by_sms_is_smart_encoded() -> None:
    found = chain(by("whatsapp"), by("rcs"), by("sms", template=AT_PROVIDER), smart_encoding=True)
    assert [each.smart_encoded for each in found] == [False, False, False]


def test_a_text_that_smart_encoding_makes_too_long_is_refused() -> None:
    text = "…" * 600
    assert chain(body=text)[0].segments == 9
    reason, told = refused(body=text, smart_encoding=True)
    assert reason == "body-too-long"
    assert "1800 characters after smart encoding" in told


def test_a_step_costs_its_segments_by_sms_and_one_message_by_whatsapp() -> None:
    found = normal(by("whatsapp"), by("sms"), by("rcs"), tenant="paying", body="a" * 161)
    assert [each.cost for each in found.steps] == ["0.05", "0.1500", None]
    assert found.cost_unit == "EUR"


def test_without_prices_there_is_no_estimate() -> None:
    found = normal(by("sms"))
    assert (found.steps[0].cost, found.cost_unit) == (None, None)
