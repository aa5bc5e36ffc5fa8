"""Which words end or renew consent, and which consent is in force (facts, Twilio section 6)."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ConsentChange, InboundMessage
from schemas.vocabulary import SENDABLE_CHANNELS, Channel, Consent, ConsentGroup
from streams.consent import KEPT_CHANGES, Ledger, consent_of, in_force, merge, newest, opted_out, scope_of
from streams.policy import DEFAULTS, Policies, SenderGroup, SenderType, TenantPolicy
from tests.streams.builders import RECIPIENT, SENDER, T0, TENANT, sid

STOP = ["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "CANCEL", "REVOKE", "OPTOUT"]
START = ["START", "YES", "UNSTOP"]


def inbound(body: str, **changes: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "provider": "twilio",
        "account_sid": "AC" + "0" * 32,
        "message_sid": sid(),
        "tenant": TENANT,
        "recipient": RECIPIENT,
        "sender": SENDER,
        "channel": Channel.SMS,
        "body": body,
        "received_at": T0,
    }
    return InboundMessage(**(values | changes))


def change(**changes: Any) -> ConsentChange:
    values: dict[str, Any] = {
        "change_id": "c",
        "tenant": TENANT,
        "recipient": RECIPIENT,
        "channel_group": ConsentGroup.SMS,
        "sender": SENDER,
        "state": Consent.OPTED_OUT,
        "source": "inbound",
        "at": T0,
    }
    return ConsentChange(**(values | changes))


def ledger_of(evidence: list[ConsentChange]) -> Ledger:
    nothing: Ledger = ()
    return reduce(merge, evidence, nothing)


def forbidding(
    ledger: Ledger, tenant: str, channel: Channel, sender: str = SENDER, policies: Policies = DEFAULTS
) -> ConsentChange | None:
    return opted_out(ledger, tenant, channel, sender, policies)


def said(body: str, policies: Policies = DEFAULTS, **changes: Any) -> Consent | None:
    found = consent_of(inbound(body, **changes), policies)
    return found.state if found else None


@pytest.mark.parametrize("word", STOP)
def test_a_stop_word_opts_out(word: str) -> None:
    assert said(word) is Consent.OPTED_OUT


@pytest.mark.parametrize("word", START)
def test_a_start_word_opts_in(word: str) -> None:
    assert said(word) is Consent.OPTED_IN


@given(st.sampled_from(STOP + START), st.data())
def test_case_and_space_around_a_word_do_not_matter(word: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in word)
    space = data.draw(st.sampled_from(["", " ", "\n", "\t "]))
    assert said(f"{space}{spelled}{space}") is said(word)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "OPT OUT",
        "stop\u200b",
        "STOPP",
        "ОСТАНОВИТЬ",
        "STOP PLEASE",
        "please stop",
        "STOP.",
        "ST OP",
        "HELP",
        "INFO",
        "no",
        "stopped",
        "ok",
    ],
)
def test_anything_but_the_whole_word_changes_nothing(body: str) -> None:
    assert said(body) is None


@pytest.mark.parametrize(("kind", "state"), [("STOP", Consent.OPTED_OUT), ("START", Consent.OPTED_IN)])
def test_what_advanced_opt_out_matched_decides_whatever_the_words(kind: str, state: Consent) -> None:
    found = consent_of(inbound("arrêter", opt_out_type=kind))
    assert found is not None
    assert (found.state, found.source, found.words) == (state, "advanced-opt-out", "arrêter")


def test_a_request_for_help_changes_nothing() -> None:
    assert said("AIDE", opt_out_type="HELP") is None


def test_the_change_keeps_the_words_and_the_message_as_evidence() -> None:
    found = consent_of(inbound(" Stop ", received_at=T0 + 5))
    assert found is not None
    assert (found.words, found.evidence, found.at) == ("Stop", sid(), T0 + 5)
    assert (found.tenant, found.recipient, found.sender) == (TENANT, RECIPIENT, SENDER)


def test_every_copy_of_a_message_is_the_same_change() -> None:
    one, other = consent_of(inbound("STOP")), consent_of(inbound("STOP", received_at=T0 + 900))
    assert one is not None
    assert other is not None
    assert one.change_id == other.change_id


def test_start_reverses_stop() -> None:
    stop, start = change(), change(state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    assert forbidding(merge(merge((), stop), start), TENANT, Channel.SMS) is None


def test_stop_after_start_holds() -> None:
    start, stop = change(state=Consent.OPTED_IN), change(at=T0 + 1, change_id="d")
    assert forbidding(merge(merge((), start), stop), TENANT, Channel.SMS) == stop


def test_a_start_that_was_said_before_a_stop_does_not_reverse_it_when_it_comes_late() -> None:
    stop, start = change(at=T0 + 1), change(state=Consent.OPTED_IN, change_id="d")
    assert forbidding(merge(merge((), stop), start), TENANT, Channel.SMS) == stop


def test_of_a_stop_and_a_start_at_the_same_time_the_stop_holds() -> None:
    stop, start = change(), change(state=Consent.OPTED_IN, change_id="z")
    assert forbidding(merge(merge((), stop), start), TENANT, Channel.SMS) == stop
    assert forbidding(merge(merge((), start), stop), TENANT, Channel.SMS) == stop


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.MMS, Channel.RCS])
def test_sms_mms_and_rcs_share_one_opt_out(channel: Channel) -> None:
    assert forbidding((change(),), TENANT, channel) is not None


def test_whatsapp_has_an_opt_out_of_its_own() -> None:
    assert forbidding((change(),), TENANT, Channel.WHATSAPP) is None
    whatsapp = change(channel_group=ConsentGroup.WHATSAPP)
    assert forbidding((whatsapp,), TENANT, Channel.WHATSAPP) == whatsapp
    assert forbidding((whatsapp,), TENANT, Channel.SMS) is None


def test_an_opt_out_on_a_channel_nobody_knows_leaves_the_others_as_they_were() -> None:
    other = consent_of(inbound("STOP", channel=Channel.OTHER, tenant="*"))
    assert other is not None
    assert other.channel_group is ConsentGroup.OTHER
    assert [forbidding((other,), "*", channel) for channel in SENDABLE_CHANNELS] == [None] * 4


def test_an_opt_out_binds_the_tenant_it_was_said_to() -> None:
    assert forbidding((change(),), "another", Channel.SMS) is None


def test_an_opt_out_said_to_a_sender_all_share_binds_every_tenant() -> None:
    shared = change(tenant="*")
    assert forbidding((shared,), TENANT, Channel.SMS) == shared
    assert forbidding((shared,), "another", Channel.SMS) == shared


def test_a_start_said_to_one_tenant_does_not_lift_an_opt_out_said_to_all() -> None:
    ledger = merge(merge((), change(tenant="*")), change(state=Consent.OPTED_IN, at=T0 + 9, change_id="d"))
    assert forbidding(ledger, TENANT, Channel.SMS) is not None


TOLL_FREE, SHORT_CODE = "+18005551212", "55501"


@pytest.mark.parametrize("word", STOP)
@pytest.mark.parametrize("sender", [SENDER, TOLL_FREE, SHORT_CODE])
@pytest.mark.parametrize("channel", SENDABLE_CHANNELS)
def test_a_stop_word_counts_on_every_kind_of_sender(word: str, sender: str, channel: Channel) -> None:
    assert said(word, sender=sender, channel=channel) is Consent.OPTED_OUT


@pytest.mark.parametrize(
    ("word", "state"), [("START", Consent.OPTED_IN), ("UNSTOP", Consent.OPTED_IN), ("YES", None)]
)
def test_on_a_toll_free_number_yes_does_not_opt_in_again(word: str, state: Consent | None) -> None:
    assert said(word, sender=TOLL_FREE) is state


def test_what_the_policy_says_a_sender_is_counts_before_what_its_number_says() -> None:
    groups = {"all": SenderGroup(senders=frozenset({SENDER}), type=SenderType.TOLL_FREE)}
    policies = Policies(TenantPolicy(sender_groups=groups))
    assert said("yes", policies) is None
    assert said("yes") is Consent.OPTED_IN


@pytest.mark.parametrize(
    ("body", "state"), [("ＳＴＯＰ", Consent.OPTED_OUT), ("ｓｔａｒｔ", Consent.OPTED_IN)]
)
def test_the_width_of_the_letters_does_not_matter(body: str, state: Consent) -> None:
    assert said(body) is state


def test_what_advanced_opt_out_took_for_a_request_for_help_is_no_stop() -> None:
    assert said("STOP", opt_out_type="HELP") is None


OFFERS, ALERTS, ELSE = "+14155550101", "+14155550102", "+14155550103"
GROUPED = Policies(
    TenantPolicy(
        sender_groups={
            "offers": SenderGroup(senders=frozenset({OFFERS, "MG1"})),
            "alerts": SenderGroup(senders=frozenset({ALERTS})),
        }
    )
)


def test_an_opt_out_said_to_one_group_of_senders_leaves_the_others_alone() -> None:
    ledger = (change(sender=OFFERS),)
    told = {
        each: forbidding(ledger, TENANT, Channel.SMS, each, GROUPED) for each in (OFFERS, "MG1", ALERTS, ELSE)
    }
    assert {each for each, found in told.items() if found} == {OFFERS, "MG1"}


def test_senders_that_no_group_names_are_one_group() -> None:
    ledger = (change(sender="+14155550109"),)
    assert forbidding(ledger, TENANT, Channel.SMS, ELSE, GROUPED) is not None
    assert forbidding(ledger, TENANT, Channel.SMS, ALERTS, GROUPED) is None


def test_without_groups_an_opt_out_holds_for_all_senders_of_the_tenant() -> None:
    assert forbidding((change(sender=OFFERS),), TENANT, Channel.SMS, ALERTS) is not None


def test_a_start_said_to_another_sender_of_the_group_lifts_the_opt_out() -> None:
    start = change(sender="MG1", state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    assert forbidding((change(sender=OFFERS), start), TENANT, Channel.SMS, OFFERS, GROUPED) is None


def test_a_change_without_a_sender_covers_all_groups_until_one_of_them_hears_otherwise() -> None:
    everywhere = change(sender="")
    start = change(sender=ALERTS, state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    ledger = ledger_of([everywhere, start])
    assert forbidding(ledger, TENANT, Channel.SMS, OFFERS, GROUPED) == everywhere
    assert forbidding(ledger, TENANT, Channel.SMS, ALERTS, GROUPED) is None


def test_a_channel_prefix_does_not_make_a_sender_another_one() -> None:
    ledger = (change(sender=f"whatsapp:{OFFERS}", channel_group=ConsentGroup.WHATSAPP),)
    assert forbidding(ledger, TENANT, Channel.WHATSAPP, OFFERS, GROUPED) is not None


def test_no_start_lifts_a_suppression() -> None:
    listed = change(source="suppression", sender="")
    start = change(state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    assert forbidding(ledger_of([listed, start]), TENANT, Channel.SMS) == listed


def test_a_suppression_that_is_lifted_forbids_no_more() -> None:
    listed = change(source="suppression", sender="")
    lifted = change(source="suppression", sender="", state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    assert forbidding(ledger_of([lifted, listed]), TENANT, Channel.SMS) is None


def test_lifting_a_suppression_does_not_lift_what_the_person_said() -> None:
    stop = change()
    lifted = change(source="suppression", sender="", state=Consent.OPTED_IN, at=T0 + 1, change_id="d")
    assert forbidding(ledger_of([stop, lifted]), TENANT, Channel.SMS) == stop


def test_a_persons_own_opt_out_is_told_before_a_suppression() -> None:
    stop, listed = change(), change(source="suppression", at=T0 + 5, change_id="d")
    assert forbidding(ledger_of([stop, listed]), TENANT, Channel.SMS) == stop


def test_of_a_long_history_the_latest_changes_are_kept() -> None:
    told = [change(change_id=f"{n:03}", at=T0 + n) for n in range(3 * KEPT_CHANGES)]
    assert ledger_of(told) == tuple(reversed(told[-KEPT_CHANGES:]))


def test_what_is_in_force_is_kept_however_much_came_after_it() -> None:
    stop = change(tenant="other")
    ledger = ledger_of([stop, *(change(change_id=f"{n:03}", at=T0 + 1 + n) for n in range(3 * KEPT_CHANGES))])
    assert stop in ledger
    assert forbidding(ledger, "other", Channel.SMS) == stop


changes = st.builds(
    change,
    change_id=st.sampled_from(["a", "b", "c", "d"]),
    tenant=st.sampled_from([TENANT, "other", "*"]),
    channel_group=st.sampled_from(list(ConsentGroup)),
    sender=st.sampled_from(["", OFFERS, ALERTS]),
    state=st.sampled_from(list(Consent)),
    source=st.sampled_from(["inbound", "suppression"]),
    at=st.integers(T0, T0 + 3),
)
many_changes = st.lists(
    st.builds(
        change,
        change_id=st.integers(0, 60).map(str),
        sender=st.sampled_from([OFFERS, ALERTS]),
        at=st.integers(T0, T0 + 40),
    ),
    min_size=KEPT_CHANGES,
    max_size=4 * KEPT_CHANGES,
)


@given(st.lists(changes, max_size=10) | many_changes, st.data())
def test_the_ledger_does_not_depend_on_order_or_copies_of_the_evidence(
    evidence: list[ConsentChange], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*evidence, *evidence[:3]]))
    assert ledger_of(shuffled) == ledger_of(evidence)


@given(st.lists(changes, max_size=8), st.lists(changes, max_size=8))
def test_two_ledgers_make_the_same_one_whichever_is_taken_into_the_other(
    one: list[ConsentChange], other: list[ConsentChange]
) -> None:
    assert reduce(merge, ledger_of(other), ledger_of(one)) == ledger_of([*one, *other])


@given(st.lists(changes, max_size=10))
def test_in_force_is_the_latest_of_each_scope(evidence: list[ConsentChange]) -> None:
    forces = in_force(ledger_of(evidence))
    assert {scope_of(each) for each in forces} == {scope_of(each) for each in evidence}
    for each in forces:
        assert each == newest(rival for rival in evidence if scope_of(rival) == scope_of(each))


@given(st.lists(changes, max_size=10), st.sampled_from([OFFERS, ALERTS]))
def test_nobody_is_forbidden_without_an_opt_out_that_covers_the_sender(
    evidence: list[ConsentChange], sender: str
) -> None:
    found = forbidding(ledger_of(evidence), TENANT, Channel.SMS, sender, GROUPED)
    if found is None:
        return
    assert found.state is Consent.OPTED_OUT
    assert found.sender in ("", sender)
    assert found.tenant in (TENANT, "*")
