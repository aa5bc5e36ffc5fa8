"""A chain of channels: what moves on to the next step, at what time, and what must not."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import Step
from schemas.vocabulary import Channel, CommandResult, ContentKind, NotificationState, Verdict
from tests.streams.builders import (
    POLICY,
    T0,
    TWO_CHANNELS,
    Story,
    accepted,
    chain,
    checks,
    commanded,
    policy,
    rejected,
    requested,
    result,
    suppress,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState
SMS, MMS, WHATSAPP, RCS = Channel.SMS, Channel.MMS, Channel.WHATSAPP, Channel.RCS


def of_channels(*channels: Channel) -> dict[str, Any]:
    return chain(*(Step(channel=channel, body=channel.value) for channel in channels))


def commanded_channels(story: Story) -> list[Channel]:
    return [command.channel for command in story.commands()]


# -- by class of failure ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [63003, 63016, 21211, 99999])
def test_an_end_that_concerns_the_channel_moves_on_to_the_next_once_it_has_settled(code: int) -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(code))
    (check,) = checks(story.settle())
    assert (check.channel, check.attempt) == (SMS, 2)
    assert check.asked_at == T0 + 20 + POLICY.settle_ms


@pytest.mark.parametrize("code", [30007, 30034, 30410])
def test_filtered_misconfigured_or_doubtful_is_not_tried_on_another_channel(code: int) -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(code))
    story.settle()
    assert (story.state.final, len(story.row.attempts)) == (True, 1)


def test_the_next_channel_has_all_its_tries() -> None:
    story = commanded(policy(max_attempts=2), **TWO_CHANNELS)
    for number in (1, 2, 3):
        story.feed(rejected(30003, number, story.clock))
        assert story.next_attempt() == number + 1
    story.feed(rejected(30003, 4, story.clock))
    story.settle()
    assert commanded_channels(story) == [WHATSAPP, WHATSAPP, SMS, SMS]
    assert story.state is S.FAILED


def test_the_last_channel_is_the_end() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(63003))
    story.next_attempt()
    story.feed(rejected(21211, 2, story.clock))
    story.settle()
    assert (story.state, story.stands.reason) == (S.FAILED, "bad_number")


def test_each_step_is_sent_with_its_own_content_and_sender() -> None:
    picture = Step(channel=MMS, body="look", media_urls=("https://e.x/a.jpg",), sender="+14155550111")
    link = Step(channel=SMS, body="look: https://e.x/a.jpg", segments=2, sender="+14155550122")
    story = commanded(**chain(picture, link))
    story.feed(rejected(30019))
    story.next_attempt()
    first, second = story.commands()
    assert (first.body, first.media_urls, first.sender) == ("look", picture.media_urls, "+14155550111")
    assert (second.body, second.media_urls, second.sender) == (link.body, (), "+14155550122")
    assert (second.channel, second.segments) == (SMS, 2)


def test_a_request_that_has_expired_meanwhile_is_not_sent_on_the_next_channel() -> None:
    story = commanded(expires_at=T0 + 30, **TWO_CHANNELS)
    story.feed(rejected(63003))
    story.settle()
    assert (story.state, len(story.row.attempts)) == (S.EXPIRED, 1)


# -- an opt-out covers the channels that share it -----------------------------------------------------------


def test_suppressed_on_one_channel_moves_on_to_one_of_another_consent_group() -> None:
    story = requested(**TWO_CHANNELS)
    (check,) = checks(story.feed(suppress()))
    assert (check.channel, check.attempt) == (SMS, 2)
    story.feed(verdict(2))
    assert (story.state, commanded_channels(story)) == (S.SENDING, [SMS])


def test_channels_that_share_the_opt_out_are_left_out() -> None:
    story = requested(**of_channels(RCS, MMS, SMS, WHATSAPP))
    (check,) = checks(story.feed(suppress()))
    assert (check.channel, check.attempt) == (WHATSAPP, 2)


def test_suppressed_without_a_channel_of_another_group_is_the_end() -> None:
    story = requested(**of_channels(RCS, MMS, SMS))
    story.feed(suppress())
    assert (story.state, story.stands.reason, len(story.row.attempts)) == (S.SUPPRESSED, "opted-out", 1)


def test_suppressed_on_every_group_is_the_end() -> None:
    story = requested(**TWO_CHANNELS)
    story.feed(suppress(), suppress(2))
    assert (story.state, story.stands.reason, story.commands()) == (S.SUPPRESSED, "opted-out", [])


@pytest.mark.parametrize("code", [21610, 30004])
def test_an_opt_out_that_the_provider_tells_of_moves_on_to_another_group_only(code: int) -> None:
    story = accepted(**of_channels(RCS, SMS, WHATSAPP))
    story.feed(undelivered(code))
    story.settle()
    assert [attempt.channel for attempt in story.row.attempts] == [RCS, WHATSAPP]


def test_a_stop_that_overtakes_the_command_ends_it_as_suppressed() -> None:
    story = commanded(**of_channels(RCS, SMS))
    story.feed(result(R.SUPPRESSED))
    story.settle()
    assert (story.state, story.stands.reason, len(story.row.attempts)) == (S.SUPPRESSED, "opted-out", 1)


# -- a text that WhatsApp takes only as a template ----------------------------------------------------------


def outside_window(**changes: Any) -> Story:
    """A text on WhatsApp that came outside of the window; its step has a template too."""
    text = Step(channel=WHATSAPP, body="hello", content_sid="HX1", content_variables={"1": "x"})
    story = accepted(**(chain(text, Step(channel=SMS, body="hello")) | changes))
    story.feed(undelivered(63016))
    return story


def test_a_text_outside_of_whatsapps_window_is_tried_again_as_a_template() -> None:
    story = outside_window()
    (check,) = checks(story.settle())
    assert (check.attempt, check.channel) == (2, WHATSAPP)
    assert (check.has_text, check.has_template) == (False, True)
    story.feed(verdict(2, content=ContentKind.TEMPLATE))
    text, template = story.commands()
    assert (text.body, text.content_sid) == ("hello", None)
    assert (template.body, template.content_sid, template.content_variables) == (None, "HX1", {"1": "x"})


def test_a_template_is_sent_where_a_text_was_refused_whatever_kind_admission_names() -> None:
    story = outside_window()
    story.settle()
    story.feed(verdict(2, content=ContentKind.TEXT))
    assert (story.commands()[-1].content_sid, story.commands()[-1].body) == ("HX1", None)


def test_a_template_that_is_refused_as_well_moves_on() -> None:
    story = outside_window()
    story.next_attempt()
    story.feed(undelivered(63016, 2, story.clock))
    story.next_attempt()
    assert commanded_channels(story) == [WHATSAPP, WHATSAPP, SMS]


def test_a_template_that_failed_for_a_moment_is_tried_again_as_a_template() -> None:
    story = outside_window()
    story.next_attempt()
    story.feed(undelivered(30500, 2, story.clock))
    story.next_attempt()
    assert [command.content_sid for command in story.commands()] == [None, "HX1", "HX1"]


def test_outside_of_the_window_without_a_template_the_next_channel_is_tried() -> None:
    story = accepted(**of_channels(WHATSAPP, SMS))
    story.feed(undelivered(63016))
    (check,) = checks(story.settle())
    assert (check.channel, check.has_text) == (SMS, True)


def test_a_text_that_admission_turned_into_a_template_is_not_sent_a_second_time_as_one() -> None:
    both = Step(channel=WHATSAPP, body="hello", content_sid="HX1")
    story = requested(**chain(both, Step(channel=SMS, body="hello")))
    story.feed(verdict(content=ContentKind.TEMPLATE), result(R.ACCEPTED), undelivered(63016))
    story.next_attempt()
    assert commanded_channels(story) == [WHATSAPP, SMS]


# -- by verdict ---------------------------------------------------------------------------------------------


def test_the_whole_chain_may_be_passed_by_verdicts_at_once() -> None:
    story = requested(**of_channels(WHATSAPP, RCS, SMS))
    for number in (1, 2):
        story.feed(verdict(number, Verdict.NEXT_CHANNEL, "dead-number"))
    story.feed(verdict(3))
    assert commanded_channels(story) == [SMS]


def test_a_verdict_for_another_channel_on_a_retry_moves_on() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(undelivered(30003))
    story.settle()
    story.tick()
    (check,) = checks(story.feed(verdict(2, Verdict.NEXT_CHANNEL, "dead-number", at=story.clock)))
    assert (check.channel, check.attempt) == (SMS, 3)
