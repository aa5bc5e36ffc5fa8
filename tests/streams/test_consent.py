"""Which words end or renew consent, and which consent is in force (facts, Twilio section 6)."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ConsentChange, InboundMessage
from schemas.vocabulary import SENDABLE_CHANNELS, Channel, Consent, ConsentGroup
from streams.consent import consent_of, merge, opted_out
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


def ledger_of(evidence: list[ConsentChange]) -> tuple[ConsentChange, ...]:
    nothing: tuple[ConsentChange, ...] = ()
    return reduce(merge, evidence, nothing)


def said(body: str, **changes: Any) -> Consent | None:
    found = consent_of(inbound(body, **changes))
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
    ["", "OPT OUT", "STOP PLEASE", "please stop", "STOP.", "ST OP", "HELP", "INFO", "no", "stopped", "ok"],
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
    assert opted_out(merge(merge((), stop), start), TENANT, Channel.SMS) is None


def test_stop_after_start_holds() -> None:
    start, stop = change(state=Consent.OPTED_IN), change(at=T0 + 1, change_id="d")
    assert opted_out(merge(merge((), start), stop), TENANT, Channel.SMS) == stop


def test_a_start_that_was_said_before_a_stop_does_not_reverse_it_when_it_comes_late() -> None:
    stop, start = change(at=T0 + 1), change(state=Consent.OPTED_IN, change_id="d")
    assert opted_out(merge(merge((), stop), start), TENANT, Channel.SMS) == stop


def test_of_a_stop_and_a_start_at_the_same_time_the_stop_holds() -> None:
    stop, start = change(), change(state=Consent.OPTED_IN, change_id="z")
    assert opted_out(merge(merge((), stop), start), TENANT, Channel.SMS) == stop
    assert opted_out(merge(merge((), start), stop), TENANT, Channel.SMS) == stop


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.MMS, Channel.RCS])
def test_sms_mms_and_rcs_share_one_opt_out(channel: Channel) -> None:
    assert opted_out((change(),), TENANT, channel) is not None


def test_whatsapp_has_an_opt_out_of_its_own() -> None:
    assert opted_out((change(),), TENANT, Channel.WHATSAPP) is None
    whatsapp = change(channel_group=ConsentGroup.WHATSAPP)
    assert opted_out((whatsapp,), TENANT, Channel.WHATSAPP) == whatsapp
    assert opted_out((whatsapp,), TENANT, Channel.SMS) is None


def test_an_opt_out_on_a_channel_nobody_knows_leaves_the_others_as_they_were() -> None:
    other = consent_of(inbound("STOP", channel=Channel.OTHER, tenant="*"))
    assert other is not None
    assert other.channel_group is ConsentGroup.OTHER
    assert [opted_out((other,), "*", channel) for channel in SENDABLE_CHANNELS] == [None] * 4


def test_an_opt_out_binds_the_tenant_it_was_said_to() -> None:
    assert opted_out((change(),), "another", Channel.SMS) is None


def test_an_opt_out_said_to_a_sender_all_share_binds_every_tenant() -> None:
    shared = change(tenant="*")
    assert opted_out((shared,), TENANT, Channel.SMS) == shared
    assert opted_out((shared,), "another", Channel.SMS) == shared


def test_a_start_said_to_one_tenant_does_not_lift_an_opt_out_said_to_all() -> None:
    ledger = merge(merge((), change(tenant="*")), change(state=Consent.OPTED_IN, at=T0 + 9, change_id="d"))
    assert opted_out(ledger, TENANT, Channel.SMS) is not None


changes = st.builds(
    change,
    change_id=st.sampled_from(["a", "b", "c", "d"]),
    tenant=st.sampled_from([TENANT, "other", "*"]),
    channel_group=st.sampled_from(list(ConsentGroup)),
    state=st.sampled_from(list(Consent)),
    at=st.integers(T0, T0 + 3),
)


@given(st.lists(changes, max_size=10), st.randoms(use_true_random=False))
def test_the_consent_in_force_does_not_depend_on_the_order_of_the_evidence(
    evidence: list[ConsentChange], random: object
) -> None:
    shuffled = [*evidence, *evidence[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ledger_of(shuffled) == ledger_of(evidence)


@given(st.lists(changes, max_size=10))
def test_what_is_in_force_is_the_latest_of_each_tenant_and_channel_group(
    evidence: list[ConsentChange],
) -> None:
    ledger = ledger_of(evidence)
    for each in ledger:
        rivals = [c for c in evidence if (c.tenant, c.channel_group) == (each.tenant, each.channel_group)]
        assert each.at == max(c.at for c in rivals)
    assert len({(c.tenant, c.channel_group) for c in ledger}) == len(ledger)
