"""The way of a notification that is delivered (design, section 4)."""

from __future__ import annotations

from schemas.identity import command_id
from schemas.records import OutboundCommand, Step
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandKind, CommandResult, ContentKind, NotificationState, Priority
from tests.streams.builders import (
    NID,
    POLICY,
    RECIPIENT,
    SENDER,
    T0,
    Story,
    accepted,
    callback,
    chain,
    checks,
    commanded,
    request,
    requested,
    result,
    sid,
    verdict,
)

R, S = CommandResult, NotificationState


def test_a_request_asks_the_recipient_for_admission_first() -> None:
    story = Story()
    (check,) = checks(story.feed(request(), at=5))
    assert (check.recipient, check.attempt, check.sender, check.asked_at) == (RECIPIENT, 1, SENDER, T0 + 5)
    assert story.state is S.SENDING
    assert story.commands() == []


def test_an_admission_check_is_keyed_by_recipient_and_the_outcome_by_notification() -> None:
    keys = {effect.topic: effect.key for effect in Story().feed(request())}
    assert keys == {Topic.CHECKS: RECIPIENT, Topic.OUTCOMES: NID}


def test_an_admission_check_says_what_the_step_could_send_where_and_until_when() -> None:
    (text,) = checks(Story().feed(request(country="FR", expires_at=T0 + 900)))
    assert (text.has_text, text.has_template, text.country, text.expires_at) == (True, False, "FR", T0 + 900)
    (both,) = checks(Story().feed(request(body="hello", content_sid="HX1")))
    assert (both.has_text, both.has_template) == (True, True)
    (template,) = checks(Story().feed(request(body=None, content_sid="HX1")))
    assert (template.has_text, template.has_template) == (False, True)
    (media,) = checks(Story().feed(request(body=None, media_urls=("https://e.x/a.jpg",))))
    assert media.has_text


def test_once_admitted_the_sender_is_commanded_in_the_lane_of_the_priority() -> None:
    story = requested(priority=Priority.URGENT)
    (effect,) = [e for e in story.feed(verdict()) if isinstance(e.record, OutboundCommand)]
    assert (effect.topic, effect.key) == (Topic.COMMANDS_URGENT, SENDER)
    assert story.commands()[0].command_id == command_id(NID, 1)


def test_the_command_carries_the_text_and_what_it_costs() -> None:
    step = Step(
        channel=Channel.MMS,
        body="ж" * 71,
        media_urls=("https://e.x/a.jpg",),
        encoding="UCS-2",
        segments=2,
        cost="0.0150",
        smart_encoded=True,
        content_sid="HX1",
        content_variables={"1": "x"},
    )
    (command,) = commanded(cost_unit="USD", **chain(step)).commands()
    assert (command.kind, command.channel) == (CommandKind.SEND, Channel.MMS)
    assert (command.body, command.media_urls) == ("ж" * 71, ("https://e.x/a.jpg",))
    assert (command.encoding, command.segments, command.smart_encoded) == ("UCS-2", 2, True)
    assert (command.cost, command.cost_unit) == ("0.0150", "USD")
    assert (command.content_sid, command.content_variables) == (None, {})


def test_the_command_of_a_template_carries_no_text_beside_it() -> None:
    story = requested(body="hello", content_sid="HX1", content_variables={"1": "x"}, cost_unit="USD")
    story.feed(verdict(content=ContentKind.TEMPLATE))
    (command,) = story.commands()
    assert (command.content_sid, command.content_variables) == ("HX1", {"1": "x"})
    assert (command.body, command.media_urls, command.smart_encoded) == (None, (), False)
    assert (command.cost, command.cost_unit) == (None, None)


def test_a_step_that_has_nothing_but_a_template_sends_it() -> None:
    (command,) = commanded(body=None, content_sid="HX1").commands()
    assert (command.content_sid, command.body) == ("HX1", None)


def test_the_sender_of_the_step_goes_before_that_of_the_deployment() -> None:
    assert commanded(sender="+14155550177").commands()[0].sender == "+14155550177"


def test_a_command_is_worthless_after_its_life_or_the_requests_or_the_admissions() -> None:
    assert commanded().commands()[0].not_after == T0 + POLICY.command_ttl_ms
    assert commanded(expires_at=T0 + 50).commands()[0].not_after == T0 + 50
    story = requested(expires_at=T0 + 50)
    story.feed(verdict(not_after=T0 + 30))
    assert story.commands()[0].not_after == T0 + 30


def test_an_accepted_message_is_sending_until_the_carrier_has_it() -> None:
    story = accepted()
    assert (story.state, story.attempt().sid) == (S.SENDING, sid())
    story.feed(callback("sent"))
    assert story.state is S.SENT


def test_delivered_is_the_end() -> None:
    story = accepted()
    story.feed(callback("sent"), callback("delivered", at=30))
    assert story.state is S.DELIVERED
    assert story.row.due_at == T0 + 30 + POLICY.remember_ms
    assert story.outcomes()[-1].final


def test_delivered_may_still_become_read() -> None:
    story = accepted()
    story.feed(callback("delivered"), callback("read", at=40))
    assert story.state is S.READ


def test_a_delivered_after_read_changes_nothing() -> None:
    story = accepted()
    story.feed(callback("read", at=20))
    story.feed(callback("delivered", at=25))
    assert story.state is S.READ


def test_a_late_sent_never_overwrites_delivered() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20), callback("sent", at=30))
    assert story.state is S.DELIVERED


def test_a_status_nobody_knows_changes_nothing_visible() -> None:
    story = accepted()
    before = story.outcomes()
    assert story.feed(callback("teleported")) == ()
    assert story.outcomes() == before


def test_a_status_nobody_knows_before_the_answer_proves_that_the_message_exists() -> None:
    story = commanded()
    story.feed(callback("teleported", at=5))
    assert (story.attempt().sid, story.attempt().accepted_at) == (sid(), T0 + 5)
    assert story.outcomes()[-1].attempts[0].status == "accepted"


def test_the_outcome_tells_when_the_message_was_sent_and_delivered() -> None:
    story = accepted()
    story.feed(callback("sent", at=20), callback("delivered", at=35))
    (attempt,) = story.outcomes()[-1].attempts
    assert (attempt.sent_at, attempt.delivered_at) == (T0 + 20, T0 + 35)
    assert (attempt.status, attempt.sid, attempt.accepted_at) == ("delivered", sid(), T0 + 10)


def test_a_message_that_was_only_reported_as_read_was_delivered_then() -> None:
    story = accepted()
    story.feed(callback("read", at=35))
    assert story.outcomes()[-1].attempts[0].delivered_at == T0 + 35


def test_the_answer_after_the_callbacks_tells_nothing_new() -> None:
    story = commanded()
    story.feed(callback("delivered", at=5))
    assert story.feed(result(R.ACCEPTED, at=9)) == ()
    assert story.state is S.DELIVERED
