"""Routes in the life of a notification: chosen at intake, passed over, refused, commanded, and told."""

from __future__ import annotations

from typing import Any

import msgspec

from notifystream.standing import standing_of
from schemas.records import NotificationRequest, NotifyRequest, Origin
from schemas.vocabulary import Category, Channel, CommandKind, CommandResult, NotificationState
from streams.intake import IntakePolicy, normalise
from streams.policy import ChainStep, Policies, Route, SenderProfile, SenderType, TenantPolicy
from tests.streams.builders import NID, Story, callback, rejected, result, verdict

GERMAN, AMERICAN = "+491771789000", "+14155550100"
URL = "https://cdn.example.com/a.jpg"
SENDERS = {
    GERMAN: SenderProfile(type=SenderType.LONG_CODE, provider="telnyx"),
    AMERICAN: SenderProfile(type=SenderType.LONG_CODE),
    "Acme": SenderProfile(type=SenderType.ALPHANUMERIC),
}
TEXTS = Route(senders=(GERMAN,), channels=frozenset({Channel.SMS}), countries=frozenset({"DE"}))
NAMES = Route(senders=("Acme",), channels=frozenset({Channel.SMS}))
POLICIES = Policies(
    tenants={
        "acme": TenantPolicy(routes=(TEXTS, NAMES)),
        "chained": TenantPolicy(chains={Category.OTP: (ChainStep(Channel.SMS, sender="Acme"),)}),
    },
    senders=SENDERS,
)


def normal(**changes: Any) -> NotificationRequest:
    values: dict[str, Any] = {
        "tenant": "acme", "idempotency_key": "k", "recipient": "+4915123456789", "body": "hello",
    }  # fmt: skip
    made = normalise(
        NotifyRequest(**(values | changes)),
        Origin(topic="notify.requested", partition=0, offset=0),
        0,
        IntakePolicy(policies=POLICIES),
    )
    return msgspec.structs.replace(made, notification_id=NID)


def story(**changes: Any) -> Story:
    made = Story()
    made.feed(normal(**changes))
    return made


def test_a_step_gets_its_sender_and_provider_from_the_route() -> None:
    (step,) = normal().steps
    assert (step.sender, step.provider) == (GERMAN, "telnyx")


def test_the_same_request_is_routed_the_same_by_every_replay() -> None:
    assert normal() == normal()


def test_a_step_that_no_sender_can_deliver_is_passed_over_with_its_place_in_the_chain_asked_for() -> None:
    found = normal(channels=("whatsapp", "sms"))
    assert [step.channel for step in found.steps] == [Channel.SMS]
    assert found.channels == (Channel.SMS,)
    assert found.refusal is None
    (passed,) = found.passed_over
    assert (passed.step, passed.channel, passed.reason) == (1, Channel.WHATSAPP, "no-route")


def test_a_text_after_a_picture_that_was_passed_over_still_links_to_it() -> None:
    found = normal(channels=("mms", "sms"), media_urls=(URL,))
    assert [step.body for step in found.steps] == [f"hello\n{URL}"]


def test_a_request_of_one_step_is_refused_for_what_is_in_the_way() -> None:
    found = normal(recipient="+14155550123")
    assert (found.refusal, found.steps, found.passed_over) == ("alphanumeric-country", (), ())
    assert found.refusal_detail is not None
    assert "route it to a number" in found.refusal_detail
    assert "step" not in found.refusal_detail


def test_a_request_of_which_no_step_is_left_is_refused_with_what_is_in_the_way_of_each() -> None:
    found = normal(channels=("whatsapp", "sms"), recipient="+14155550123")
    assert found.refusal == "no-sender"
    assert found.refusal_detail is not None
    assert "step 1 (whatsapp): tenant 'acme' has no route" in found.refusal_detail
    assert "step 2 (sms): US takes no names" in found.refusal_detail


def test_a_request_whose_steps_all_meet_the_same_obstacle_is_refused_for_that() -> None:
    assert normal(channels=("whatsapp", "rcs")).refusal == "no-route"


def test_a_sender_of_the_request_wins_over_the_route_and_is_checked() -> None:
    assert [step.sender for step in normal(sender="Acme").steps] == ["Acme"]
    assert normal(sender="Acme", category="marketing").refusal == "one-way-sender"


def test_a_sender_of_the_tenants_chain_is_checked() -> None:
    american = {"tenant": "chained", "category": "otp", "recipient": "+14155550123"}
    assert normal(**american).refusal == "alphanumeric-country"
    assert [step.sender for step in normal(**american | {"recipient": "+4915123456789"}).steps] == ["Acme"]


def test_without_routes_a_step_is_left_to_the_default_sender() -> None:
    found = normal(tenant="other")
    assert [(step.sender, step.provider) for step in found.steps] == [(None, "twilio")]


def test_a_described_default_sender_is_checked_before_money_is_spent() -> None:
    request = NotifyRequest(tenant="other", idempotency_key="k", recipient="+14155550123", body="hello")
    origin = Origin(topic="notify.requested", partition=0, offset=0)
    policy = IntakePolicy(policies=POLICIES, default_sender=AMERICAN)
    assert normalise(request, origin, 0, policy).refusal == "campaign-unregistered"


def test_the_command_goes_to_the_sender_and_the_provider_of_the_route() -> None:
    made = story()
    made.feed(verdict())
    (command,) = made.commands()
    assert (command.sender, command.provider) == (GERMAN, "telnyx")


def test_what_follows_a_command_goes_to_the_same_provider() -> None:
    made = story()
    made.feed(verdict(), result(CommandResult.IN_DOUBT), callback("sent"))
    assert [each.provider for each in made.commands(CommandKind.SETTLE)] == ["telnyx"]


def test_the_outcome_tells_what_was_passed_over() -> None:
    made = story(channels=("whatsapp", "sms"))
    made.feed(verdict(), result(CommandResult.ACCEPTED), callback("delivered"))
    told = made.outcomes()[-1]
    assert (told.state, told.reason) == (NotificationState.DELIVERED, None)
    assert told.detail is not None
    assert told.detail.startswith(
        "step 1 (whatsapp) was passed over: tenant 'acme' has no route for whatsapp"
    )


def test_a_bad_outcome_tells_both_its_own_reason_and_what_was_passed_over() -> None:
    made = story(channels=("sms", "whatsapp"))
    made.feed(verdict(), rejected(30007))
    made.settle()
    told = made.outcomes()[-1]
    assert told.state is NotificationState.FAILED
    assert told.reason == "filtered"
    assert told.detail is not None
    assert "step 2 (whatsapp) was passed over" in told.detail


def test_a_refused_request_ends_with_the_reason_and_what_to_configure() -> None:
    told = story(recipient="+14155550123").outcomes()[-1]
    assert (told.state, told.reason, told.attempts) == (NotificationState.INVALID, "alphanumeric-country", ())
    assert told.detail is not None
    assert "route it to a number" in told.detail


def test_requests_of_before_there_were_routes_are_still_twilios() -> None:
    old = msgspec.to_builtins(normal())
    for step in old["steps"]:
        del step["provider"]
    del old["passed_over"]
    read = msgspec.convert(old, NotificationRequest)
    assert [step.provider for step in read.steps] == ["twilio"]
    assert read.passed_over == ()


def test_show_tells_what_was_passed_over_and_why() -> None:
    now = standing_of(story(channels=("whatsapp", "sms")).row)
    assert now is not None
    assert [(each.step, each.channel, each.reason) for each in now.passed_over] == [
        (1, "whatsapp", "no-route")
    ]
    assert "add one to its routes" in now.passed_over[0].detail
    assert [each.channel for each in now.steps] == ["sms"]


def test_show_tells_of_a_refusal_with_its_codes() -> None:
    now = standing_of(story(recipient="+14155550123").row)
    assert now is not None
    assert "(Twilio 21612)" in now.in_words
