"""The policy file: what it says, what is inherited, and how it says what is wrong with it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from schemas.vocabulary import Category, Channel
from streams.policy import (
    DEFAULTS,
    OTHER_SENDERS,
    AddressRetention,
    Campaign,
    CampaignState,
    Cap,
    ChainStep,
    ContentRetention,
    Policies,
    PolicyError,
    QuietHours,
    Retry,
    Route,
    SenderGroup,
    SenderProfile,
    SenderRules,
    SenderType,
    Sending,
    TenantPolicy,
    Verification,
    load_policy,
)
from streams.policy.values import Hours, duration, hours

EXAMPLE = Path(__file__).parents[2] / "deploy" / "streams-policy.example.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def loaded(file: Path, text: str) -> Policies:
    file.write_text(text)
    return load_policy(str(file))


def refusal(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(PolicyError) as wrong:
        load_policy(str(file))
    assert str(file) in str(wrong.value)
    return str(wrong.value)


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_file_everybody_has_the_defaults(path: str | None) -> None:
    assert load_policy(path) == DEFAULTS
    assert load_policy(path).of("anybody") == TenantPolicy()


@pytest.mark.parametrize("text", ["", "tenants:", "tenants: {}", "tenants: {acme: }", 'tenants: {"*": {}}'])
def test_a_file_that_says_nothing_changes_nothing(file: Path, text: str) -> None:
    assert loaded(file, text).of("acme") == TenantPolicy()


def test_the_example_is_complete_and_can_be_followed() -> None:
    policies = load_policy(str(EXAMPLE))
    acme, everybody = policies.of("acme"), policies.of("somebody")
    text = EXAMPLE.read_text()
    assert [name for name in TenantPolicy.__struct_fields__ if f"    {name}:" not in text] == []
    assert everybody.caps[Category.MARKETING] == (Cap(1, 86_400_000), Cap(4, 30 * 86_400_000))
    assert everybody.chains[Category.OTP][0] == ChainStep(Channel.SMS, 90_000)
    assert everybody.quiet_hours[Category.MARKETING].of("NO").allowed == "09:00-20:00"
    assert everybody.prices.of("US", Channel.SMS) == Decimal("0.0083")
    assert acme.caps == everybody.caps
    assert acme.quiet_hours[Category.MARKETING] == QuietHours("09:00-20:00")
    assert acme.sender_type("55501", Channel.SMS) is SenderType.SHORT_CODE
    said = [name for name in SenderProfile.__struct_fields__ if f"    {name}:" in text]
    assert {*said, "type"} == set(SenderProfile.__struct_fields__)
    assert policies.senders["+14155550100"].segments_per_s == 1
    assert policies.senders["Acme"].type is SenderType.ALPHANUMERIC
    assert policies.sender_rules == SenderRules()
    assert acme.routes[0] == Route(
        senders=("55501",), countries=frozenset({"US"}), categories=frozenset({Category.MARKETING})
    )


def test_a_tenant_without_an_entry_is_as_the_star(file: Path) -> None:
    found = loaded(file, 'tenants: {"*": {smart_encoding: true}, acme: {retry: {attempts: 5}}}')
    assert found.of("somebody").smart_encoding
    assert found.of("acme").smart_encoding
    assert (found.of("acme").retry, found.of("somebody").retry) == (Retry(attempts=5), Retry())


def test_a_section_that_a_tenant_names_replaces_the_whole_section(file: Path) -> None:
    found = loaded(
        file,
        """
        tenants:
          "*": {caps: {marketing: [{limit: 1, per: 1d}], otp: [{limit: 9, per: 1h}]}}
          acme: {caps: {marketing: [{limit: 2, per: 1d}]}}
        """,
    )
    assert set(found.of("acme").caps) == {Category.MARKETING}


def test_norway_is_a_country(file: Path) -> None:
    found = loaded(file, 'tenants: {"*": {prices: {per_segment: {NO: {sms: "0.07"}}}}}')
    assert found.of("x").prices.of("NO", Channel.SMS) == Decimal("0.07")


def test_a_price_may_be_that_of_every_other_country(file: Path) -> None:
    prices = (
        loaded(file, 'tenants: {"*": {prices: {per_segment: {US: {sms: 1}, "*": {sms: 2}}}}}').of("x").prices
    )
    assert [prices.of(c, Channel.SMS) for c in ("US", "DE")] == [Decimal(1), Decimal(2)]
    assert prices.of("US", Channel.MMS) is None


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("[]", "the file", "expected names with values"),
        ("tenant: {}", "tenant", "not known"),
        ("senders: {+14155550100: {}}", "senders.14155550100", "in quotes"),
        ("senders: {'': {}}", "senders.", "empty"),
        ("senders: {'+1': {}, 'whatsapp:+1': {}}", "senders.whatsapp:+1", "channels: [sms, whatsapp]"),
        ("senders: {'55501': {}}", "senders.55501", "name it in countries"),
        ("senders: {'55501': {countries: [USA]}}", "senders.55501", "'USA' is no country"),
        ("senders: {Acme: {countries: []}}", "senders.Acme", "countries must name at least one"),
        ("senders: {Acme: {channels: [other]}}", "senders.Acme", "channels must be of sms"),
        (
            "senders: {Acme: {campaign: {state: registered}}}",
            "senders.Acme",
            "an alphanumeric has no",
        ),
        ("senders: {'+1415': {verification: verified}}", "senders.+1415", "long_code has no verification"),
        ("senders: {'+1415': {campaign: {state: fine}}}", "senders.+1415.campaign.state", "fine"),
        ("senders: {'+1415': {segments_per_s: 0}}", "senders.+1415", "more than nothing"),
        ("senders: {'+1415': {burst: 0.5}}", "senders.+1415", "burst must be 1"),
        ("senders: {'+1415': {daily_segments: 0}}", "senders.+1415", "daily_segments must be 1"),
        ("senders: {'+1415': {day_zone: Mars/Base}}", "senders.+1415", "no time zone"),
        ("senders: {'+1415': {provider: Two Words}}", "senders.+1415", "is no provider"),
        ("senders: {'+1415': {rate: 1}}", "senders.+1415", "`rate`"),
        ("sender_rules: {campaign: [Utah]}", "sender_rules", "'Utah' is no country"),
        ("tenants: {acme: {routes: [{senders: ['+1']}]}}", "tenants.acme.routes[0]", "'+1' is not described"),
        ("tenants: {'*': {routes: [{senders: [A, B]}]}}", "tenants.*.routes[0]", "'A' is not described"),
        ("tenants: {acme: {routes: [{senders: []}]}}", "tenants.acme.routes[0]", "at least one sender"),
        ("tenants: {acme: {routes: [{senders: [A, 'x:A']}]}}", "tenants.acme.routes[0]", "none there twice"),
        ("tenants: {acme: {routes: [{senders: [A], to: US}]}}", "tenants.acme.routes[0]", "`to`"),
        ("tenants: {acme: {routes: [{senders: [55501]}]}}", "tenants.acme.routes[0].senders[0]", "`str`"),
        (
            "tenants: {acme: {routes: [{senders: [A], countries: []}]}}",
            "tenants.acme.routes[0]",
            "countries must name at least one",
        ),
        (
            "tenants: {acme: {routes: [{senders: [A], countries: [Utah]}]}}",
            "tenants.acme.routes[0]",
            "'Utah' is no country",
        ),
        (
            "tenants: {acme: {routes: [{senders: [A], channels: [other]}]}}",
            "tenants.acme.routes[0]",
            "channels must be of sms",
        ),
        ("tenants: {acme: {sending: {validity: 11h}}}", "tenants.acme.sending", "1s to 10h"),
        (
            "tenants: {acme: {sending: {content_retention: burn}}}",
            "tenants.acme.sending.content_retention",
            "burn",
        ),
        ("tenants: {acme: {cap: {}}}", "tenants.acme", "'cap' is no section"),
        ("tenants: {acme: 5}", "tenants.acme", "expected names with values"),
        ("tenants: {acme: {smart_encoding: maybe}}", "tenants.acme.smart_encoding", "bool"),
        ("tenants: {acme: {caps: {sale: []}}}", "tenants.acme.caps", "sale"),
        ("tenants: {acme: {caps: {otp: [{limit: 0, per: 1h}]}}}", "tenants.acme.caps.otp[0]", "1 to 1000"),
        (
            "tenants: {acme: {caps: {otp: [{limit: 1, per: 1}]}}}",
            "tenants.acme.caps.otp[0].per",
            "such as 90s",
        ),
        ("tenants: {acme: {caps: {otp: [{limit: 1, per: 1h, x: 1}]}}}", "tenants.acme.caps.otp[0]", "`x`"),
        (
            "tenants: {acme: {quiet_hours: {otp: {allowed: 8-9}}}}",
            "tenants.acme.quiet_hours.otp",
            "08:00-21:00",
        ),
        (
            "tenants: {acme: {quiet_hours: {otp: {allowed: '21:00-08:00'}}}}",
            "tenants.acme.quiet_hours.otp",
            "begin before they end",
        ),
        (
            "tenants: {acme: {quiet_hours: {otp: {days: []}}}}",
            "tenants.acme.quiet_hours.otp",
            "at least one day",
        ),
        (
            "tenants: {acme: {quiet_hours: {otp: {countries: {France: {}}}}}}",
            "tenants.acme.quiet_hours.otp",
            "'France' is no country",
        ),
        ("tenants: {acme: {unknown_zone: Mars/Base}}", "tenants.acme", "no time zone 'Mars/Base'"),
        (
            "tenants: {acme: {sender_groups: {a: {senders: []}}}}",
            "tenants.acme.sender_groups.a",
            "at least one",
        ),
        (
            "tenants: {acme: {sender_groups: {a: {senders: ['1']}, b: {senders: ['1']}}}}",
            "tenants.acme",
            "a and b have a sender in common",
        ),
        ("tenants: {acme: {chains: {otp: [{channel: fax}]}}}", "tenants.acme.chains.otp[0].channel", "fax"),
        ("tenants: {acme: {chains: {otp: [{channel: other}]}}}", "tenants.acme.chains.otp[0]", "one of sms"),
        ("tenants: {acme: {retry: {base: 2h}}}", "tenants.acme.retry", "base at most longest"),
        ("tenants: {acme: {prices: {currency: dollars}}}", "tenants.acme.prices", "ISO 4217"),
        (
            "tenants: {acme: {dead_numbers: {repeated: {times: 99}}}}",
            "tenants.acme.dead_numbers.repeated",
            "1 to 20",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file: Path, text: str, place: str, what: str) -> None:
    said = refusal(file, text)
    assert f"{place}" in said
    assert what in said


def test_a_name_that_is_there_twice_is_refused_with_its_line(file: Path) -> None:
    said = refusal(file, "tenants:\n  acme: {}\n  acme: {}\n")
    assert "'acme' is there twice" in said
    assert "line 3" in said


def test_what_is_no_yaml_is_refused(file: Path) -> None:
    assert "is not YAML" in refusal(file, "tenants: {")


def test_a_file_that_cannot_be_read_is_refused_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="STREAMS_POLICY_FILE"):
        load_policy(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("90s", 90_000), ("5m", 300_000), ("12h", 43_200_000), ("7d", 604_800_000)],
)
def test_a_duration_is_milliseconds(text: str, ms: int) -> None:
    assert duration(text) == ms


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.5h", "5M", "400d", 5, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"90s|too long"):
        duration(text)


def test_a_day_may_end_at_midnight() -> None:
    assert hours("00:00-24:00") == Hours(0, 1440)


@pytest.mark.parametrize("text", ["8:00", "08:00-08:00", "08:60-09:00", "00:00-24:01", "22:00-02:00", None])
def test_what_are_no_hours_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="hours"):
        hours(text)


@pytest.mark.parametrize(
    ("sender", "channel", "kind"),
    [
        ("+14155550100", Channel.SMS, SenderType.LONG_CODE),
        ("+18885550100", Channel.MMS, SenderType.TOLL_FREE),
        ("55501", Channel.SMS, SenderType.SHORT_CODE),
        ("MG" + "0" * 32, Channel.SMS, SenderType.MESSAGING_SERVICE),
        ("Acme Shop", Channel.SMS, SenderType.ALPHANUMERIC),
        ("4155550100", Channel.SMS, SenderType.LONG_CODE),
        ("+18885550100", Channel.WHATSAPP, SenderType.WHATSAPP),
        ("rcs:acme_agent", Channel.RCS, SenderType.RCS),
    ],
)
def test_a_sender_is_known_by_its_channel_and_number(sender: str, channel: Channel, kind: SenderType) -> None:
    assert TenantPolicy().sender_type(sender, channel) is kind


def test_a_group_knows_its_senders_whatever_prefix_they_have() -> None:
    policy = TenantPolicy(sender_groups={"care": SenderGroup(frozenset({"whatsapp:+14155550100"}))})
    assert policy.group_of("+14155550100") == policy.group_of("whatsapp:+14155550100") == "care"
    assert policy.group_of("+14155550101") == OTHER_SENDERS


def test_a_sender_says_what_it_is_and_may_do(file: Path) -> None:
    found = loaded(
        file,
        """
        senders:
          "+14155550100": {campaign: {state: registered, categories: [otp]}, tenants: [acme], burst: 2}
          "+18885550100": {verification: pending}
          "whatsapp:+14155550199": {segments_per_s: 80}
        """,
    )
    long_code = found.senders["+14155550100"]
    assert long_code.campaign == Campaign(CampaignState.REGISTERED, frozenset({Category.OTP}))
    assert (long_code.tenants, long_code.burst, long_code.provider) == (frozenset({"acme"}), 2, "twilio")
    assert found.senders["+18885550100"].verification is Verification.PENDING
    assert found.senders["+14155550199"].type is SenderType.WHATSAPP


def test_a_sender_is_found_whatever_prefix_it_is_written_with(file: Path) -> None:
    found = loaded(file, "senders: {'+14155550100': {channels: [sms, whatsapp]}}")
    assert found.sender("whatsapp:+14155550100") is found.senders["+14155550100"]
    assert found.sender("+14155550101") is None


def test_a_sender_has_the_channels_of_its_type_unless_it_says_others() -> None:
    plain = SenderProfile(type=SenderType.LONG_CODE)
    both = SenderProfile(type=SenderType.LONG_CODE, channels=frozenset({Channel.SMS, Channel.WHATSAPP}))
    channels = (Channel.SMS, Channel.MMS, Channel.WHATSAPP)
    assert [plain.carries(each) for each in channels] == [True, True, False]
    assert [both.carries(each) for each in channels] == [True, False, True]


def test_what_the_provider_is_asked_for_is_the_tenants(file: Path) -> None:
    found = loaded(
        file,
        """
        tenants:
          acme:
            sending:
              {risk_check: false, content_retention: discard, address_retention: obfuscate, validity: 5m}
        """,
    )
    assert found.of("somebody").sending == Sending()
    sending = found.of("acme").sending
    assert sending == Sending(
        risk_check=False,
        content_retention=ContentRetention.DISCARD,
        address_retention=AddressRetention.OBFUSCATE,
        validity_ms=300_000,
    )
    assert sending.validity_s == 300


def test_routes_are_inherited_and_replaced_like_any_section(file: Path) -> None:
    found = loaded(
        file,
        """
        tenants:
          "*": {routes: [{senders: [Acme]}]}
          acme: {retry: {attempts: 2}}
          other: {routes: [{channels: [whatsapp], senders: ["whatsapp:+14155550199"]}]}
        senders:
          Acme: {}
          "whatsapp:+14155550199": {}
        """,
    )
    assert found.of("acme").routes == (Route(senders=("Acme",)),)
    assert found.of("other").routes == (
        Route(senders=("+14155550199",), channels=frozenset({Channel.WHATSAPP})),
    )
