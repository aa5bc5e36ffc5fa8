"""WhatsApp's window: a text inside, a template outside, or the next channel."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import AdmissionVerdict, InboundMessage
from schemas.vocabulary import Channel, ContentKind, Verdict
from streams.policy import DEFAULTS, Policies, SenderGroup, WhatsAppWindow
from tests.streams.builders import SENDER, T0
from tests.streams.persons import DAY, HOUR, policies, verdict_after
from tests.streams.test_consent import inbound

OTHER = "+14155550199"
GROUPED = policies(sender_groups={"care": SenderGroup(senders=frozenset({SENDER, OTHER}))})


def wrote(**changes: Any) -> InboundMessage:
    values: dict[str, Any] = {"channel": Channel.WHATSAPP}
    return inbound(**({"body": "hello"} | values | changes))


def asked(*events: InboundMessage, policy: Policies = DEFAULTS, **changes: Any) -> AdmissionVerdict:
    values: dict[str, Any] = {"channel": Channel.WHATSAPP, "asked_at": T0 + HOUR}
    return verdict_after(*events, policy=policy, **(values | changes))


def test_within_a_day_of_a_message_a_text_may_be_sent_until_that_day_is_over() -> None:
    found = asked(wrote(), has_template=True)
    assert (found.verdict, found.content, found.not_after) == (Verdict.ADMIT, ContentKind.TEXT, T0 + DAY)


def test_within_it_a_template_is_sent_when_there_is_no_text_and_has_no_end() -> None:
    found = asked(wrote(), has_text=False, has_template=True)
    assert (found.verdict, found.content, found.not_after) == (Verdict.ADMIT, ContentKind.TEMPLATE, None)


def test_outside_a_template_is_sent() -> None:
    found = asked(has_template=True)
    assert (found.verdict, found.content) == (Verdict.ADMIT, ContentKind.TEMPLATE)


def test_outside_without_a_template_the_next_channel_is_next() -> None:
    found = asked()
    assert (found.verdict, found.reason) == (Verdict.NEXT_CHANNEL, "outside-whatsapp-window")


def test_the_window_closes_after_a_day_to_the_millisecond() -> None:
    assert asked(wrote(), asked_at=T0 + DAY - 1).verdict is Verdict.ADMIT
    assert asked(wrote(), asked_at=T0 + DAY).verdict is Verdict.NEXT_CHANNEL


def test_every_message_opens_it_anew_whatever_their_order() -> None:
    later = wrote(received_at=T0 + HOUR, message_sid="SM9")
    for events in ((wrote(), later), (later, wrote())):
        assert asked(*events).not_after == T0 + HOUR + DAY


def test_the_policy_may_make_it_shorter() -> None:
    short = policies(whatsapp_window=WhatsAppWindow(HOUR))
    assert asked(wrote(), policy=short).verdict is Verdict.NEXT_CHANNEL


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.RCS, Channel.OTHER])
def test_a_message_on_another_channel_opens_nothing(channel: Channel) -> None:
    assert asked(wrote(channel=channel)).verdict is Verdict.NEXT_CHANNEL


def test_a_window_belongs_to_the_sender_that_was_written_to() -> None:
    assert asked(wrote(sender=OTHER)).verdict is Verdict.NEXT_CHANNEL


def test_senders_of_one_group_share_it() -> None:
    assert asked(wrote(sender=OTHER), policy=GROUPED).verdict is Verdict.ADMIT


def test_a_pool_of_senders_answers_from_the_one_that_was_written_to() -> None:
    assert asked(wrote(), sender="MG" + "0" * 32).verdict is Verdict.ADMIT


def test_a_window_belongs_to_the_tenant_unless_all_share_the_sender() -> None:
    assert asked(wrote(tenant="other")).verdict is Verdict.NEXT_CHANNEL
    assert asked(wrote(tenant="*")).verdict is Verdict.ADMIT


def test_a_stop_closes_more_than_the_window() -> None:
    assert asked(wrote(body="STOP")).verdict is Verdict.SUPPRESS
