"""Dead numbers: what is learnt from errors, for which channels, and when it is over."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Channel, Verdict
from streams.policy import DeadNumbers, RepeatedFailures
from tests.streams.builders import T0, TENANT
from tests.streams.persons import DAY, after, check, evidence, judged, policies, verdict_after
from tests.streams.test_consent import inbound

SAME_NUMBER = [Channel.SMS, Channel.MMS, Channel.RCS]


@pytest.mark.parametrize("code", [21211, 21265, 21614, 21635, 30005, 30006])
@pytest.mark.parametrize("channel", SAME_NUMBER)
def test_a_number_that_cannot_be_reached_is_left_on_every_channel_that_uses_it(
    code: int, channel: Channel
) -> None:
    found = verdict_after(evidence(code), channel=channel)
    assert (found.verdict, found.reason) == (Verdict.NEXT_CHANNEL, "dead-number")


def test_whatsapp_is_reached_without_the_telephone_network() -> None:
    found = verdict_after(evidence(30006), channel=Channel.WHATSAPP, has_template=True)
    assert found.verdict is Verdict.ADMIT


@pytest.mark.parametrize("code", [63003, 63024])
@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.RCS])
def test_an_error_of_a_channel_closes_that_channel_alone(code: int, channel: Channel) -> None:
    learnt = evidence(code, channel=channel)
    assert verdict_after(learnt, channel=channel, has_template=True).reason == "dead-number"
    assert verdict_after(learnt, channel=Channel.SMS).verdict is Verdict.ADMIT


@pytest.mark.parametrize("code", [30003, 30004, 30007, 30008, 21610, 63016])
def test_an_error_that_is_not_about_the_number_closes_nothing(code: int) -> None:
    assert verdict_after(evidence(code)).verdict is Verdict.ADMIT


def test_what_one_tenant_learnt_every_tenant_knows() -> None:
    assert verdict_after(evidence(30006), tenant="another").reason == "dead-number"


def test_an_unreachable_handset_counts_when_it_comes_again_and_again() -> None:
    thrice = [evidence(30003, at=T0 + n * DAY) for n in range(3)]
    assert verdict_after(*thrice[:2], asked_at=T0 + 3 * DAY).verdict is Verdict.ADMIT
    assert verdict_after(*thrice, asked_at=T0 + 3 * DAY).reason == "dead-number"


def test_copies_of_one_error_count_once() -> None:
    assert verdict_after(*[evidence(30003)] * 3).verdict is Verdict.ADMIT


def test_errors_that_lie_too_far_apart_do_not_count_together() -> None:
    far = [evidence(30003, at=T0 + n * 4 * DAY) for n in range(3)]
    assert verdict_after(*far, asked_at=T0 + 9 * DAY).verdict is Verdict.ADMIT


def test_the_policy_says_which_errors_count_and_how_often() -> None:
    rule = RepeatedFailures(codes=frozenset({30005}), times=2, within_ms=DAY)
    strict = policies(dead_numbers=DeadNumbers(codes=frozenset({30006}), repeated=rule))
    once, twice = evidence(30005), evidence(30005, at=T0 + 1)
    assert verdict_after(once, policy=strict).verdict is Verdict.ADMIT
    assert verdict_after(once, twice, policy=strict).reason == "dead-number"


@pytest.mark.parametrize("channel", SAME_NUMBER)
def test_a_message_of_the_person_revives_the_number(channel: Channel) -> None:
    written = inbound("hello", channel=channel, received_at=T0 + 1)
    assert verdict_after(evidence(30006), written).verdict is Verdict.ADMIT


def test_a_delivered_message_revives_the_number() -> None:
    assert verdict_after(evidence(30006), evidence(None, at=T0 + 1)).verdict is Verdict.ADMIT


def test_a_message_on_whatsapp_does_not_revive_the_number() -> None:
    written = inbound("hello", channel=Channel.WHATSAPP, received_at=T0 + 1)
    assert verdict_after(evidence(30006), written).reason == "dead-number"


def test_an_error_that_is_older_than_a_sign_of_life_counts_for_nothing_when_it_comes_late() -> None:
    assert verdict_after(inbound("hello", received_at=T0 + 1), evidence(30006)).verdict is Verdict.ADMIT


def test_an_error_after_a_sign_of_life_counts() -> None:
    assert verdict_after(inbound("hello"), evidence(30006, at=T0 + 1)).reason == "dead-number"


def test_a_number_is_tried_again_when_the_policys_time_is_over() -> None:
    assert verdict_after(evidence(30006), asked_at=T0 + 90 * DAY - 1).reason == "dead-number"
    assert verdict_after(evidence(30006), asked_at=T0 + 90 * DAY).verdict is Verdict.ADMIT


def test_repeated_errors_are_forgotten_in_a_time_of_their_own() -> None:
    thrice = [evidence(30003, at=T0 - n) for n in range(3)]
    assert verdict_after(*thrice, asked_at=T0 + 30 * DAY - 1).reason == "dead-number"
    assert verdict_after(*thrice, asked_at=T0 + 30 * DAY).verdict is Verdict.ADMIT


def test_what_is_counted_together_is_remembered_together() -> None:
    rule = RepeatedFailures(within_ms=7 * DAY, forget_after_ms=DAY)
    short = policies(dead_numbers=DeadNumbers(forget_after_ms=DAY, repeated=rule))
    thrice = [evidence(30003, at=T0 + n * 3 * DAY) for n in range(3)]
    assert verdict_after(*thrice, policy=short, asked_at=T0 + 6 * DAY + 1).reason == "dead-number"


def test_a_terminal_error_is_not_lost_among_many_others() -> None:
    many = [evidence(30003, at=T0 + 1 + n * 8 * DAY // 100) for n in range(100)]
    rule = RepeatedFailures(codes=frozenset({30003}), times=20, within_ms=1)
    lenient = policies(dead_numbers=DeadNumbers(repeated=rule))
    row = after(evidence(30006), *many, policy=lenient)
    assert len(row.failures) == 21
    assert judged(row, check(tenant=TENANT, asked_at=T0 + 9 * DAY), lenient)[1].reason == "dead-number"
