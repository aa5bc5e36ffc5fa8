"""The choice of a sender: which route, which of its senders, and that the same person keeps the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import SENDABLE_CHANNELS, Category, Channel
from streams.policy import (
    Campaign,
    CampaignState,
    Policies,
    Route,
    SenderProfile,
    SenderRules,
    SenderType,
    TenantPolicy,
    Verification,
    load_policy,
)
from streams.routes import Choice, Question, Refused, choose, obstacle, preferred

EXAMPLE = Path(__file__).parents[2] / "deploy" / "streams-policy.example.yaml"
LONG, OTHER_LONG, ABROAD, PERSON = "+14155550100", "+14155550101", "+491771789000", "+14155550123"
SERVICE = "MG" + "0" * 31 + "1"
SENDERS = {
    LONG: SenderProfile(type=SenderType.LONG_CODE, campaign=Campaign(CampaignState.REGISTERED)),
    OTHER_LONG: SenderProfile(type=SenderType.LONG_CODE, campaign=Campaign(CampaignState.REGISTERED)),
    ABROAD: SenderProfile(type=SenderType.LONG_CODE, provider="telnyx"),
    "Acme": SenderProfile(type=SenderType.ALPHANUMERIC),
    SERVICE: SenderProfile(type=SenderType.MESSAGING_SERVICE),
}
QUESTION = Question(
    tenant="acme", channel=Channel.SMS, country="US", category=Category.TRANSACTIONAL, recipient=PERSON
)
names = st.text("abcdef0123456789", min_size=1, max_size=6)
pools = st.sets(names, min_size=1, max_size=8)


def policies(*routes: Route, **senders: SenderProfile) -> Policies:
    return Policies(tenants={"acme": TenantPolicy(routes=routes)}, senders=SENDERS | senders)


def asked(**changes: Any) -> Question:
    return msgspec.structs.replace(QUESTION, **changes)


def refusal(found: Choice | Refused) -> Refused:
    assert isinstance(found, Refused), f"it was sent from {found.sender}"
    return found


def test_without_routes_and_senders_the_default_is_left_to_whoever_sends() -> None:
    assert choose(QUESTION, Policies()) == Choice(None, "twilio")


def test_without_routes_a_sender_that_nobody_described_is_used_as_it_is() -> None:
    assert choose(asked(sender="+19995550100"), Policies()) == Choice("+19995550100")


def test_a_sender_loses_its_channel_prefix() -> None:
    question = asked(channel=Channel.WHATSAPP, sender="whatsapp:+14155550100")
    assert choose(question, Policies()) == Choice("+14155550100")


def test_the_first_route_that_matches_is_taken() -> None:
    found = policies(
        Route(senders=(ABROAD,), countries=frozenset({"DE"})),
        Route(senders=(LONG,), channels=frozenset({Channel.SMS}), categories=frozenset({Category.OTP})),
        Route(senders=(SERVICE,)),
    )
    assert choose(asked(country="DE"), found) == Choice(ABROAD, "telnyx")
    assert choose(asked(category=Category.OTP), found) == Choice(LONG)
    assert choose(asked(category=Category.OTP, channel=Channel.MMS), found) == Choice(SERVICE)
    assert choose(asked(category=Category.MARKETING), found) == Choice(SERVICE)


def test_the_next_route_sends_what_no_sender_of_the_first_can_deliver() -> None:
    found = policies(Route(senders=("Acme",)), Route(senders=(LONG,)))
    assert choose(asked(country="DE"), found) == Choice("Acme")
    assert choose(asked(country="US"), found) == Choice(LONG)


def test_a_sender_of_the_pool_that_cannot_deliver_is_left_out() -> None:
    pending = SenderProfile(type=SenderType.LONG_CODE, campaign=Campaign(CampaignState.PENDING))
    found = policies(Route(senders=("+14155550102", LONG)), **{"+14155550102": pending})
    assert {choose(asked(recipient=f"+1415555{n}"), found) for n in range(1000, 1050)} == {Choice(LONG)}


def test_a_sender_that_is_named_wins_over_the_routes() -> None:
    assert choose(asked(sender=OTHER_LONG), policies(Route(senders=(LONG,)))) == Choice(OTHER_LONG)


def test_a_sender_that_is_named_is_checked() -> None:
    for found in (policies(), policies(Route(senders=(LONG,)))):
        assert refusal(choose(asked(sender="Acme"), found)).reason == "alphanumeric-country"


def test_a_tenant_with_routes_cannot_name_a_sender_that_nobody_described() -> None:
    refused = refusal(choose(asked(sender="+19995550199"), policies(Route(senders=(LONG,)))))
    assert refused.reason == "unknown-sender"
    assert "…0199 is not described; add it to senders" in refused.detail


def test_a_default_sender_that_is_described_is_checked_and_has_its_provider() -> None:
    assert choose(asked(country="DE"), policies(), ABROAD) == Choice(ABROAD, "telnyx")
    assert refusal(choose(QUESTION, policies(), "Acme")).reason == "alphanumeric-country"


def test_the_routes_win_over_the_default_sender() -> None:
    assert choose(QUESTION, policies(Route(senders=(LONG,))), ABROAD) == Choice(LONG)


def test_what_no_route_matches_is_refused_with_what_to_add() -> None:
    refused = refusal(choose(QUESTION, policies(Route(senders=(ABROAD,), countries=frozenset({"DE"})))))
    assert refused.reason == "no-route"
    assert (
        "'acme' has no route for sms to US, category transactional; add one to its routes" in refused.detail
    )


def test_when_all_senders_have_the_same_obstacle_it_is_the_reason() -> None:
    found = policies(Route(senders=("Acme", "Acme2")), Acme2=SENDERS["Acme"])
    refused = refusal(choose(QUESTION, found))
    assert refused.reason == "alphanumeric-country"
    assert "Acme2" in refused.detail


def test_when_senders_have_different_obstacles_all_are_told() -> None:
    bare = SenderProfile(type=SenderType.LONG_CODE)
    refused = refusal(
        choose(QUESTION, policies(Route(senders=("Acme", "+14155550103")), **{"+14155550103": bare}))
    )
    assert refused.reason == "no-sender"
    assert "Acme" in refused.detail
    assert "…0103" in refused.detail


def test_of_many_senders_only_some_obstacles_are_told() -> None:
    many = {f"Acme{n}": SENDERS["Acme"] for n in range(10)}
    detail = refusal(choose(QUESTION, policies(Route(senders=tuple(many)), **many))).detail
    assert detail.endswith("; and 7 senders more")


def test_of_few_senders_all_obstacles_are_told() -> None:
    few = {f"Acme{n}": SENDERS["Acme"] for n in range(3)}
    detail = refusal(choose(QUESTION, policies(Route(senders=tuple(few)), **few))).detail
    assert all(name in detail for name in few)
    assert "more" not in detail


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        ("+14155550199", "…0199"),
        ("(415) 555-0199", "…0199"),
        ("55501", "55501"),
        ("Acme 24", "Acme 24"),
        ("MG" + "7" * 32, "MG" + "7" * 32),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_sender_is_told_without_its_whole_number(sender: str, told: str) -> None:
    refused = refusal(choose(asked(sender=sender), policies(Route(senders=(LONG,)))))
    assert refused.detail.startswith(f"sender {told} is not described")


def test_no_detail_names_a_whole_number() -> None:
    bare = {f"+1415555010{n}": SenderProfile(type=SenderType.LONG_CODE) for n in range(2, 5)}
    found = policies(Route(senders=tuple(bare)), **bare)
    for question in (QUESTION, *(asked(sender=name) for name in bare), asked(sender="+19995550199")):
        detail = refusal(choose(question, found)).detail
        assert "555" not in detail.replace("…", "")


@st.composite
def profiles(draw: st.DrawFn) -> SenderProfile:
    kind = draw(st.sampled_from(SenderType))
    campaign = st.none() | st.builds(Campaign, st.sampled_from(CampaignState))
    has_campaign = kind in (SenderType.LONG_CODE, SenderType.MESSAGING_SERVICE)
    return SenderProfile(
        type=kind,
        provider=draw(st.sampled_from(["twilio", "telnyx"])),
        countries=frozenset({"US"}) if kind is SenderType.SHORT_CODE else draw(COUNTRIES),
        categories=draw(CATEGORIES),
        campaign=draw(campaign) if has_campaign else None,
        verification=draw(st.none() | st.sampled_from(Verification))
        if kind is SenderType.TOLL_FREE
        else None,
    )


COUNTRIES = st.none() | st.frozensets(st.sampled_from(["US", "CA", "DE"]), min_size=1)
CATEGORIES = st.none() | st.frozensets(st.sampled_from(Category), min_size=1)
NUMBERS = st.sampled_from([f"+1415555010{n}" for n in range(6)])
questions = st.builds(
    Question,
    tenant=st.just("acme"),
    channel=st.sampled_from(SENDABLE_CHANNELS),
    country=st.sampled_from(["US", "CA", "DE", "ZZ"]),
    category=st.sampled_from(Category),
    recipient=st.just(PERSON),
    sender=st.none() | NUMBERS,
)


@given(st.dictionaries(NUMBERS, profiles(), min_size=1), st.data(), questions)
def test_whoever_is_chosen_can_deliver_and_who_is_not_is_told_without_a_whole_number(
    senders: dict[str, SenderProfile], data: st.DataObject, question: Question
) -> None:
    pool = st.lists(st.sampled_from(sorted(senders)), min_size=1, unique=True).map(tuple)
    route = st.builds(Route, senders=pool, countries=COUNTRIES, categories=CATEGORIES)
    routes = tuple(data.draw(st.lists(route, min_size=1, max_size=3)))
    found = choose(question, Policies(default=TenantPolicy(routes=routes), senders=senders))
    matching = [
        each for each in routes if each.matches(question.channel, question.country, question.category)
    ]
    allowed = [question.sender] if question.sender else [name for each in matching for name in each.senders]
    able = [
        name
        for name in allowed
        if name in senders and not obstacle(name, senders[name], question, SenderRules())
    ]
    if isinstance(found, Choice):
        assert found.sender in able
        assert found.provider == senders[str(found.sender)].provider
    else:
        assert able == []
        assert "+1415" not in found.detail


@given(pools, names, names)
def test_the_same_person_always_has_the_same_sender_of_a_pool(
    pool: set[str], tenant: str, recipient: str
) -> None:
    assert preferred(sorted(pool), tenant, recipient) == preferred(sorted(pool)[::-1], tenant, recipient)
    assert preferred(pool, tenant, recipient) in pool


@given(pools, names, names, names)
def test_when_a_sender_joins_a_pool_a_person_stays_or_moves_to_it(
    pool: set[str], joined: str, tenant: str, recipient: str
) -> None:
    before, after = preferred(pool, tenant, recipient), preferred({*pool, joined}, tenant, recipient)
    assert after in (before, joined)


@given(pools.filter(lambda pool: len(pool) > 1), names, names)
def test_when_a_sender_leaves_a_pool_only_its_own_people_move(
    pool: set[str], tenant: str, recipient: str
) -> None:
    before = preferred(pool, tenant, recipient)
    for left in pool - {before}:
        assert preferred(pool - {left}, tenant, recipient) == before


def test_people_are_spread_evenly_over_a_pool() -> None:
    pool = [f"+141555501{n:02}" for n in range(5)]
    served = [preferred(pool, "acme", f"+1415556{n:04}") for n in range(5000)]
    assert all(900 < served.count(sender) < 1100 for sender in pool)


def test_tenants_spread_their_people_differently() -> None:
    pool = [f"+141555501{n:02}" for n in range(5)]
    chosen = {tenant: [preferred(pool, tenant, f"+1{n}") for n in range(50)] for tenant in ("a", "b")}
    assert chosen["a"] != chosen["b"]


def test_a_pool_of_nobody_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        preferred([], "acme", PERSON)


@pytest.mark.parametrize(
    ("changes", "sender"),
    [
        ({"category": Category.MARKETING}, "55501"),
        ({"channel": Channel.WHATSAPP, "country": "DE"}, "+491771789000"),
        ({"country": "GB"}, "Acme"),
        ({"country": "GB", "category": Category.MARKETING}, SERVICE),
        ({"country": "AU"}, SERVICE),
    ],
)
def test_the_example_file_routes_what_it_says(changes: dict[str, Any], sender: str) -> None:
    found = choose(asked(**changes), load_policy(str(EXAMPLE)))
    assert isinstance(found, Choice)
    assert found.sender == sender


def test_a_tenant_of_the_example_file_without_routes_sends_from_the_default() -> None:
    assert choose(asked(tenant="somebody"), load_policy(str(EXAMPLE))) == Choice(None)
