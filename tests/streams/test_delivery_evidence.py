"""What a delivery teaches others: opt-outs the provider knows of, and numbers that cannot be reached."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.identity import command_id
from schemas.records import ConsentChange, DeliveryEvidence, OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandKind, CommandResult, Consent, ConsentGroup, NotificationState
from streams.effects import Emit
from streams.error_codes import OF_THE_NUMBER
from tests.streams.builders import (
    NID,
    RECIPIENT,
    SENDER,
    T0,
    accepted,
    callback,
    commanded,
    consent,
    of,
    rejected,
    request,
    requested,
    result,
    sid,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState


def learnt(effects: tuple[Emit, ...]) -> list[DeliveryEvidence]:
    return of(DeliveryEvidence, effects)


# -- opt-outs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [21610, 30004])
@pytest.mark.parametrize("tells", [rejected, undelivered], ids=["answer", "callback"])
def test_an_opt_out_the_provider_tells_of_is_evidence_for_the_ledger_at_once(code: int, tells: Any) -> None:
    story = commanded()
    effects = story.feed(tells(code))
    (change,) = consent(effects)
    assert (change.recipient, change.state, change.source) == (RECIPIENT, Consent.OPTED_OUT, "provider")
    assert (change.channel_group, change.sender) == (ConsentGroup.SMS, SENDER)
    assert [e.key for e in effects if e.topic is Topic.CONSENT_EVIDENCE] == [RECIPIENT]
    story.settle()
    assert (story.state, story.stands.reason) == (S.SUPPRESSED, "opted-out")


def test_an_opt_out_names_the_message_it_was_learnt_from_and_when() -> None:
    (by_message,) = consent(commanded().feed(undelivered(21610)))
    assert (by_message.evidence, by_message.at) == (sid(), T0 + 20)
    (by_answer,) = consent(commanded().feed(rejected(21610)))
    assert (by_answer.evidence, by_answer.at) == (command_id(NID, 1), T0 + 10)


def test_an_opt_out_on_whatsapp_is_one_of_whatsapps_group() -> None:
    (change,) = consent(commanded(channels=(Channel.WHATSAPP,)).feed(undelivered(21610)))
    assert change.channel_group is ConsentGroup.WHATSAPP


def test_an_opt_out_is_told_once_however_often_it_is_heard() -> None:
    story = commanded()
    story.feed(rejected(21610), undelivered(21610), callback("failed", error_code=30004, at=30))
    story.settle()
    assert len(story.written(ConsentChange)) == 1


def test_an_opt_out_is_evidence_also_when_it_comes_after_the_end() -> None:
    story = accepted()
    story.to_the_end()
    (change,) = consent(story.feed(undelivered(21610, at=400_000)))
    assert change.state is Consent.OPTED_OUT


def test_an_opt_out_is_evidence_also_when_the_same_attempt_was_delivered() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20))
    assert len(consent(story.feed(undelivered(21610, at=15)))) == 1


def test_an_opt_out_of_a_later_attempt_is_evidence_though_an_earlier_one_was_delivered() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.next_attempt()
    story.feed(callback("delivered", at=2_000))
    (change,) = consent(story.feed(rejected(21610, 2)))
    assert change.state is Consent.OPTED_OUT
    assert story.state is S.DELIVERED


def test_an_opt_out_that_was_heard_before_its_attempt_began_is_told_when_it_does() -> None:
    story = requested()
    story.feed(undelivered(21610))
    assert len(story.written(ConsentChange)) == 1


def test_an_opt_out_that_was_heard_before_the_request_is_told_when_it_comes() -> None:
    story = requested()
    fresh = type(story)()
    assert fresh.feed(undelivered(21610)) == ()
    assert len(consent(fresh.feed(request()))) == 1


def test_the_evidence_of_one_attempt_is_the_same_change_every_time() -> None:
    (first,) = consent(commanded().feed(rejected(21610)))
    (second,) = consent(commanded().feed(undelivered(21610)))
    assert first.change_id == second.change_id


@pytest.mark.parametrize("status", ["queued", "sent", "delivered", "read", "teleported"])
def test_a_stale_code_that_comes_with_a_status_that_is_no_bad_end_teaches_nothing(status: str) -> None:
    story = accepted()
    effects = story.feed(
        callback(status, error_code=21610), callback(status, at=30, error_code=30005, event_id="2")
    )
    assert consent(effects) == []
    assert learnt(effects) == []


def test_a_stale_code_teaches_nothing_either_when_a_bad_end_follows_it() -> None:
    story = accepted()
    effects = story.feed(callback("sent", error_code=21610), undelivered(30007, at=30))
    assert consent(effects) == []


# -- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(OF_THE_NUMBER))
@pytest.mark.parametrize("tells", [rejected, undelivered], ids=["answer", "callback"])
def test_what_an_error_says_of_the_number_is_told_to_admission_at_once(code: int, tells: Any) -> None:
    story = commanded()
    effects = story.feed(tells(code))
    (evidence,) = learnt(effects)
    assert (evidence.recipient, evidence.error_code, evidence.channel) == (RECIPIENT, code, Channel.SMS)
    assert evidence.at == T0 + (10 if tells is rejected else 20)
    assert [e.key for e in effects if e.topic is Topic.DELIVERY_EVIDENCE] == [RECIPIENT]


@pytest.mark.parametrize("code", [30007, 30008, 20429, 30034, 63016, 21617, 99999, None])
def test_an_error_of_the_message_or_of_ours_says_nothing_of_the_number(code: int | None) -> None:
    assert learnt(commanded().feed(undelivered(code))) == []


def test_each_attempt_that_fails_is_evidence_of_its_own() -> None:
    story = accepted()
    story.feed(undelivered(30003))
    story.next_attempt()
    story.feed(undelivered(30003, 2, story.clock))
    first, second = story.written(DeliveryEvidence)
    assert first.evidence_id != second.evidence_id


def test_the_same_error_of_an_attempt_is_told_once_and_another_one_as_well() -> None:
    story = accepted()
    story.feed(undelivered(30003), undelivered(30003, at=25), callback("failed", at=30, error_code=30005))
    assert [each.error_code for each in story.written(DeliveryEvidence)] == [30003, 30005]


def test_a_number_that_was_reached_after_all_is_told_as_alive() -> None:
    story = accepted()
    story.feed(undelivered(30005))
    (evidence,) = learnt(story.feed(callback("delivered", at=40)))
    assert (evidence.error_code, evidence.at, evidence.message_sid) == (None, T0 + 40, sid())
    assert learnt(story.feed(callback("read", at=50))) == []


def test_a_number_that_nothing_bad_was_said_of_need_not_be_told_as_alive() -> None:
    story = accepted()
    assert learnt(story.feed(callback("delivered"), callback("read", at=40))) == []


def test_an_error_that_says_nothing_of_the_number_is_not_taken_back_by_a_delivery() -> None:
    story = accepted()
    assert learnt(story.feed(undelivered(30007), callback("delivered", at=40))) == []


def test_both_are_told_whichever_is_heard_first() -> None:
    one, other = accepted(), accepted()
    one.feed(undelivered(30005), callback("delivered", at=40))
    other.feed(callback("delivered", at=40), undelivered(30005))
    assert {each.evidence_id for each in one.written(DeliveryEvidence)} == {
        each.evidence_id for each in other.written(DeliveryEvidence)
    }
    assert len(one.written(DeliveryEvidence)) == 2


def test_what_was_learnt_is_told_also_of_a_notification_that_is_at_its_end() -> None:
    story = accepted()
    story.to_the_end()
    assert len(learnt(story.feed(undelivered(30005, at=400_000)))) == 1


def test_an_error_of_a_message_the_sink_was_in_doubt_about_is_evidence_too() -> None:
    story = requested()
    story.feed(verdict(), result(R.IN_DOUBT))
    assert len(learnt(story.feed(undelivered(30006)))) == 1


# -- what the sink must heed --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [30001, 30022, 30032, 30034, 63018])
def test_a_failure_that_tells_of_its_sender_is_told_to_the_sink_at_once_and_once(code: int) -> None:
    story = accepted()
    (told,) = heeded(story.feed(undelivered(code)))
    assert (told.command_id, told.error_code) == (f"{command_id(NID, 1)}:heed:{code}", code)
    assert (told.sender, told.sid, told.created_at) == (SENDER, sid(), T0 + 20)
    assert heeded(story.feed(undelivered(code))) == []


@pytest.mark.parametrize("code", [30003, 30005, 30007, 21610, 63016, 99999])
def test_a_failure_that_tells_of_its_recipient_or_text_is_not(code: int) -> None:
    assert heeded(accepted().feed(undelivered(code))) == []


def test_what_the_sink_was_answered_itself_it_is_not_told_again() -> None:
    assert heeded(commanded().feed(rejected(30034))) == []


def test_a_failure_of_the_sender_and_a_late_delivery_teach_nothing_of_the_number() -> None:
    story = accepted()
    story.feed(undelivered(30034))
    assert learnt(story.feed(callback("delivered", at=30))) == []


def heeded(effects: tuple[Emit, ...]) -> list[OutboundCommand]:
    return [each for each in of(OutboundCommand, effects) if each.kind is CommandKind.HEED]
