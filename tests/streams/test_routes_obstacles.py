"""What a sender cannot deliver, one row of the table after another, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.vocabulary import Category, Channel
from streams.policy import Campaign, CampaignState, SenderProfile, SenderRules, SenderType, Verification
from streams.routes import Question, obstacle

LONG, TOLL_FREE, SERVICE = "+14155550100", "+18885550100", "MG" + "0" * 32
DEFAULT = SenderRules()
OTP, MARKETING = Category.OTP, Category.MARKETING


def found(sender: str, profile: SenderProfile, rules: SenderRules = DEFAULT, **changes: Any) -> str | None:
    """The reason, when there is one."""
    values: dict[str, Any] = {
        "tenant": "acme", "channel": Channel.SMS, "country": "US", "category": Category.TRANSACTIONAL,
        "recipient": "+14155550123",
    }  # fmt: skip
    refused = obstacle(sender, profile, Question(**(values | changes)), rules)
    return refused.reason if refused is not None else None


def profile(kind: SenderType, **values: Any) -> SenderProfile:
    return SenderProfile(type=kind, **values)


def long_code(state: CampaignState | None, *categories: Category) -> SenderProfile:
    campaign = Campaign(state, frozenset(categories) or None) if state is not None else None
    return profile(SenderType.LONG_CODE, campaign=campaign)


REGISTERED = long_code(CampaignState.REGISTERED)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (None, "campaign-unregistered"),
        (CampaignState.UNREGISTERED, "campaign-unregistered"),
        (CampaignState.PENDING, "campaign-unregistered"),
        (CampaignState.SUSPENDED, "campaign-suspended"),
        (CampaignState.REGISTERED, None),
    ],
)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.MMS])
def test_a_long_code_texts_the_united_states_only_with_a_registered_campaign(
    state: CampaignState | None, reason: str | None, channel: Channel
) -> None:
    assert found(LONG, long_code(state), channel=channel) == reason


@pytest.mark.parametrize("country", ["CA", "DE", "ZZ"])
def test_elsewhere_a_long_code_needs_no_campaign(country: str) -> None:
    assert found(LONG, long_code(None), country=country) is None


def test_a_long_code_of_another_country_needs_no_campaign() -> None:
    assert found("+491771789000", long_code(None)) is None


def test_a_campaign_concerns_texts_only() -> None:
    both = profile(SenderType.LONG_CODE, channels=frozenset({Channel.WHATSAPP}))
    assert found(LONG, both, channel=Channel.WHATSAPP) is None


def test_a_campaign_sends_what_it_is_registered_for() -> None:
    sender = long_code(CampaignState.REGISTERED, OTP)
    assert found(LONG, sender, category=OTP) is None
    assert found(LONG, sender, category=MARKETING) == "campaign-category"


def test_a_suspended_campaign_is_no_unregistered_one_whatever_is_sent() -> None:
    assert found(LONG, long_code(CampaignState.SUSPENDED, OTP), category=MARKETING) == "campaign-suspended"


def test_a_messaging_service_is_judged_by_its_campaign_only_when_it_names_one() -> None:
    suspended = profile(SenderType.MESSAGING_SERVICE, campaign=Campaign(CampaignState.SUSPENDED))
    assert found(SERVICE, profile(SenderType.MESSAGING_SERVICE)) is None
    assert found(SERVICE, suspended) == "campaign-suspended"
    assert found(SERVICE, suspended, country="DE") is None


@pytest.mark.parametrize("country", ["US", "CA"])
@pytest.mark.parametrize(
    ("verification", "reason"),
    [
        (None, "toll-free-unverified"),
        (Verification.UNVERIFIED, "toll-free-unverified"),
        (Verification.PENDING, "toll-free-unverified"),
        (Verification.VERIFIED, None),
    ],
)
def test_a_toll_free_number_reaches_north_america_only_verified(
    country: str, verification: Verification | None, reason: str | None
) -> None:
    assert (
        found(TOLL_FREE, profile(SenderType.TOLL_FREE, verification=verification), country=country) == reason
    )


def test_elsewhere_a_toll_free_number_needs_no_verification() -> None:
    assert found(TOLL_FREE, profile(SenderType.TOLL_FREE), country="MX") is None


@pytest.mark.parametrize(
    ("country", "reason"),
    [
        ("US", "alphanumeric-country"),
        ("CA", "alphanumeric-country"),
        ("PR", "alphanumeric-country"),
        ("DE", None),
    ],
)
def test_a_name_is_no_sender_where_the_country_knows_none(country: str, reason: str | None) -> None:
    assert found("Acme", profile(SenderType.ALPHANUMERIC), country=country) == reason


def test_a_name_does_not_send_what_must_be_answerable() -> None:
    assert (
        found("Acme", profile(SenderType.ALPHANUMERIC), country="DE", category=MARKETING) == "one-way-sender"
    )


def test_a_name_whose_categories_say_so_sends_what_must_be_answerable_elsewhere() -> None:
    meant = profile(SenderType.ALPHANUMERIC, categories=frozenset({MARKETING}))
    assert found("Acme", meant, country="DE", category=MARKETING) is None


def test_a_short_code_stays_in_its_country() -> None:
    sender = profile(SenderType.SHORT_CODE, countries=frozenset({"US"}))
    assert found("55501", sender) is None
    assert found("55501", sender, country="CA") == "short-code-abroad"


def test_whatsapp_needs_a_whatsapp_sender() -> None:
    assert found(LONG, REGISTERED, channel=Channel.WHATSAPP) == "no-whatsapp-sender"
    assert found(LONG, profile(SenderType.WHATSAPP), channel=Channel.WHATSAPP) is None


@pytest.mark.parametrize(
    ("kind", "channel"),
    [
        (SenderType.WHATSAPP, Channel.SMS),
        (SenderType.ALPHANUMERIC, Channel.MMS),
        (SenderType.LONG_CODE, Channel.RCS),
        (SenderType.RCS, Channel.SMS),
    ],
)
def test_a_sender_sends_by_its_own_channels_only(kind: SenderType, channel: Channel) -> None:
    assert found("x", profile(kind), country="DE", channel=channel) == "sender-channel"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"tenants": frozenset({"other"})}, "sender-tenant"),
        ({"tenants": frozenset({"acme"})}, None),
        ({"countries": frozenset({"DE"})}, "sender-country"),
        ({"countries": frozenset({"US"})}, None),
        ({"categories": frozenset({OTP})}, "sender-category"),
        ({"categories": frozenset({Category.TRANSACTIONAL})}, None),
    ],
)
def test_a_sender_keeps_to_what_it_is_meant_for(limits: dict[str, Any], reason: str | None) -> None:
    campaign = Campaign(CampaignState.REGISTERED)
    assert found(LONG, profile(SenderType.LONG_CODE, campaign=campaign, **limits)) == reason


def test_what_carriers_ask_of_a_sender_can_be_configured() -> None:
    rules = SenderRules(
        campaign=frozenset({"MX"}),
        verification=frozenset({"MX"}),
        no_alphanumeric=frozenset({"MX"}),
        needs_reply=frozenset({OTP}),
    )
    name, toll_free = profile(SenderType.ALPHANUMERIC), profile(SenderType.TOLL_FREE)
    assert found(LONG, long_code(None), rules) is None
    assert found(LONG, long_code(None), rules, country="MX") == "campaign-unregistered"
    assert found(TOLL_FREE, toll_free, rules) is None
    assert found(TOLL_FREE, toll_free, rules, country="MX") == "toll-free-unverified"
    assert found("Acme", name, rules, category=MARKETING) is None
    assert found("Acme", name, rules, category=OTP) == "one-way-sender"
    assert found("Acme", name, rules, country="MX") == "alphanumeric-country"


@pytest.mark.parametrize(
    ("sender", "of", "changes", "said"),
    [
        (
            LONG,
            long_code(None),
            {},
            "30034), and it names none; register it and set campaign: {state: registered}",
        ),
        (LONG, long_code(CampaignState.PENDING), {}, "and its campaign is pending"),
        (LONG, long_code(CampaignState.SUSPENDED), {}, "long_code …0100 is suspended (Twilio 30033)"),
        (LONG, long_code(CampaignState.REGISTERED, OTP), {}, "registered for otp, not for transactional"),
        (
            TOLL_FREE,
            profile(SenderType.TOLL_FREE),
            {},
            "30032), and it is unverified; set verification: verified",
        ),
        ("Acme", profile(SenderType.ALPHANUMERIC), {}, "21612): no alphanumeric Acme; route it to a number"),
        (
            LONG,
            REGISTERED,
            {"channel": Channel.WHATSAPP},
            "63007); once it is one, add whatsapp to its channels",
        ),
        (
            "55501",
            profile(SenderType.SHORT_CODE, countries=frozenset({"US"})),
            {"country": "CA"},
            "short_code 55501 is for US only (Twilio 21606); route CA elsewhere",
        ),
    ],
)
def test_a_refusal_says_what_to_configure(
    sender: str, of: SenderProfile, changes: dict[str, Any], said: str
) -> None:
    values: dict[str, Any] = {
        "tenant": "acme", "channel": Channel.SMS, "country": "US", "category": Category.TRANSACTIONAL,
        "recipient": "+14155550123",
    }  # fmt: skip
    refused = obstacle(sender, of, Question(**(values | changes)), DEFAULT)
    assert refused is not None
    assert said in refused.detail
