"""The delivery state machine, one behaviour at a time (design, section 4)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from schemas.identity import command_id, conflict_id
from schemas.records import NotificationOutcome, OutboundCommand, TimerTick
from schemas.topics import Topic
from schemas.vocabulary import (
    Channel,
    CommandKind,
    CommandResult,
    Consent,
    ErrorClass,
    NotificationState,
    Priority,
)
from tests.streams.builders import (
    NID,
    POLICY,
    RECIPIENT,
    SENDER,
    T0,
    Story,
    accepted,
    callback,
    checks,
    commanded,
    consent,
    of,
    request,
    requested,
    result,
    sid,
    suppress,
    verdict,
)

R, S = CommandResult, NotificationState
TWO_CHANNELS: dict[str, Any] = {"channels": (Channel.WHATSAPP, Channel.SMS)}


def policy(**changes: Any) -> Any:
    return msgspec.structs.replace(POLICY, **changes)


def rejected(code: int, attempt: int = 1) -> Any:
    return result(R.REJECTED, attempt, error_code=code)


def next_attempt(story: Story) -> int:
    """Let the retry come and be admitted; the number of the new attempt."""
    story.tick()
    number = len(story.row.attempts)
    story.feed(verdict(number))
    return number


# -- the way of one that is delivered -----------------------------------------------------------------------


def test_a_request_asks_the_recipient_for_admission_first() -> None:
    story = Story()
    (check,) = checks(story.feed(request(), at=5))
    assert (check.recipient, check.attempt, check.sender, check.asked_at) == (RECIPIENT, 1, SENDER, T0 + 5)
    assert story.state is S.SENDING
    assert story.commands() == []


def test_an_admission_check_is_keyed_by_recipient_and_the_outcome_by_notification() -> None:
    keys = {effect.topic: effect.key for effect in Story().feed(request())}
    assert keys == {Topic.CHECKS: RECIPIENT, Topic.OUTCOMES: NID}


def test_once_admitted_the_sender_is_commanded_in_the_lane_of_the_priority() -> None:
    story = requested(priority=Priority.URGENT)
    (effect,) = [e for e in story.feed(verdict()) if isinstance(e.record, OutboundCommand)]
    assert (effect.topic, effect.key) == (Topic.COMMANDS_URGENT, SENDER)
    assert story.commands()[0].command_id == command_id(NID, 1)


def test_the_command_carries_the_content_and_what_it_costs() -> None:
    story = commanded(body="ж" * 71, media_urls=("https://e.x/a.jpg",), content_variables={"1": "x"})
    (command,) = story.commands()
    assert (command.body, command.segments) == ("ж" * 71, 2)
    assert (command.media_urls, command.content_variables) == (("https://e.x/a.jpg",), {"1": "x"})


def test_the_sender_of_the_request_goes_before_that_of_the_deployment() -> None:
    assert commanded(sender="+14155550177").commands()[0].sender == "+14155550177"


def test_a_command_is_worthless_after_its_life_or_the_requests_own() -> None:
    assert commanded().commands()[0].not_after == T0 + 2 + POLICY.command_ttl_ms
    assert commanded(expires_at=T0 + 50).commands()[0].not_after == T0 + 50


def test_an_accepted_message_is_sending_until_the_carrier_has_it() -> None:
    story = accepted()
    assert (story.state, story.attempt().sid) == (S.SENDING, sid())
    story.feed(callback("sent"))
    assert story.state is S.SENT


def test_delivered_is_the_end() -> None:
    story = accepted()
    story.feed(callback("sent"), callback("delivered", at=30))
    assert story.state is S.DELIVERED
    assert story.row.due_at is None
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


def test_the_outcome_tells_when_the_message_was_sent_and_delivered() -> None:
    story = accepted()
    story.feed(callback("sent", at=20), callback("delivered", at=35))
    (attempt,) = story.outcomes()[-1].attempts
    assert (attempt.sent_at, attempt.delivered_at) == (T0 + 20, T0 + 35)
    assert (attempt.status, attempt.sid, attempt.accepted_at) == ("delivered", sid(), T0 + 10)


# -- invalid, duplicate, conflict ---------------------------------------------------------------------------


def test_a_refused_request_ends_as_invalid_with_the_reason() -> None:
    story = Story()
    effects = story.feed(request(refusal="empty-body", refusal_detail="there is nothing to say"))
    (outcome,) = of(NotificationOutcome, effects)
    assert len(effects) == 1
    assert (outcome.state, outcome.reason, outcome.final) == (S.INVALID, "empty-body", True)
    assert outcome.detail == "there is nothing to say"


def test_a_repeat_is_counted_and_starts_nothing() -> None:
    story = commanded()
    effects = story.feed(request(offset=1))
    assert story.row.duplicates == 1
    assert [type(effect.record) for effect in effects] == [NotificationOutcome]
    assert len(story.commands()) == 1


def test_the_same_record_read_again_is_no_repeat() -> None:
    story = commanded()
    assert story.feed(request()) == ()
    assert story.row.duplicates == 0


def test_a_repeat_read_again_is_counted_once() -> None:
    story = commanded()
    story.feed(request(offset=1), request(offset=2), request(offset=1), request(offset=2))
    assert story.row.duplicates == 2


def test_many_repeats_read_again_are_still_counted_once() -> None:
    story = commanded()
    repeats = [request(offset=number) for number in range(1, 41)]
    story.feed(*repeats, *repeats)
    assert story.row.duplicates == 40


def test_a_repeat_with_other_content_is_refused_by_an_outcome_of_its_own() -> None:
    story = commanded()
    before = story.row
    effects = story.feed(request(offset=1, content_hash="c1", metadata={"campaign": "other"}))
    (outcome,) = of(NotificationOutcome, effects)
    assert effects[0].key == outcome.notification_id == conflict_id(NID, "c1")
    assert (outcome.state, outcome.reason, outcome.final) == (S.CONFLICT, "other-content", True)
    assert (outcome.conflicts_with, outcome.content_hash) == (NID, "c1")
    assert story.row == before


def test_the_refusal_of_a_conflict_is_the_same_record_every_time() -> None:
    story = commanded()
    conflict = request(offset=1, content_hash="c1")
    assert story.feed(conflict, at=7) == story.feed(conflict, at=7)


def test_a_repeat_after_the_end_starts_nothing() -> None:
    story = accepted()
    story.feed(callback("delivered"))
    story.feed(request(offset=1))
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)


# -- deferral, expiry, suppression --------------------------------------------------------------------------


def test_a_request_for_later_waits_for_its_time() -> None:
    story = Story()
    effects = story.feed(request(send_at=T0 + 500))
    assert (story.state, story.row.reason, story.row.due_at) == (S.DEFERRED, "send-at", T0 + 500)
    assert checks(effects) == []
    assert checks(story.tick())
    assert (story.state, story.row.reason) == (S.SENDING, None)


def test_a_request_for_a_time_that_has_passed_starts_at_once() -> None:
    assert requested(send_at=T0).state is S.SENDING


def test_a_request_that_comes_too_late_expires_unsent() -> None:
    story = Story()
    story.feed(request(expires_at=T0 + 3), at=3)
    assert (story.state, story.row.reason) == (S.EXPIRED, "expired")
    assert story.row.attempts == ()


def test_a_request_that_expires_while_it_waits_for_a_retry_is_not_sent_again() -> None:
    story = commanded(expires_at=T0 + 900)
    story.feed(rejected(20429))
    story.tick()
    assert (story.state, len(story.commands())) == (S.EXPIRED, 1)


def test_a_command_that_waited_too_long_ends_as_expired() -> None:
    story = commanded()
    story.feed(result(R.EXPIRED))
    assert (story.state, story.row.reason) == (S.EXPIRED, "waited-too-long")


def test_the_verdict_to_suppress_ends_it_without_a_command() -> None:
    story = requested()
    story.feed(suppress())
    assert (story.state, story.row.reason, story.commands()) == (S.SUPPRESSED, "opted-out", [])


def test_a_stop_that_overtakes_the_command_ends_it_as_suppressed() -> None:
    story = commanded()
    story.feed(result(R.SUPPRESSED))
    assert (story.state, story.row.reason) == (S.SUPPRESSED, "opted-out")


def test_suppressed_on_one_channel_is_not_tried_on_the_next() -> None:
    story = requested(**TWO_CHANNELS)
    story.feed(suppress())
    assert len(story.row.attempts) == 1


def test_an_unanswered_check_is_asked_again() -> None:
    story = requested()
    (check,) = checks(story.tick())
    assert (check.attempt, len(story.row.attempts)) == (1, 1)
    assert story.row.due_at == T0 + story.clock + POLICY.admission_again_ms


def test_a_second_verdict_on_the_same_attempt_commands_nothing() -> None:
    story = commanded()
    assert story.feed(verdict()) == ()
    assert story.feed(suppress()) == ()


# -- callbacks before answers, doubts -----------------------------------------------------------------------


def test_a_callback_before_the_answer_is_an_acceptance() -> None:
    story = commanded()
    story.feed(callback("sent", at=5))
    assert (story.state, story.attempt().sid, story.attempt().accepted_at) == (S.SENT, sid(), T0 + 5)
    story.feed(result(R.ACCEPTED, at=9))
    assert story.state is S.SENT
    assert story.attempt().accepted_at == T0 + 5


def test_delivered_before_the_answer_is_the_end_and_the_answer_changes_no_state() -> None:
    story = commanded()
    story.feed(callback("delivered", at=5), result(R.ACCEPTED, at=9))
    assert story.state is S.DELIVERED
    assert story.row.due_at is None


def test_a_doubt_starts_nothing_and_waits() -> None:
    story = commanded()
    effects = story.feed(result(R.IN_DOUBT))
    assert of(OutboundCommand, effects) == []
    assert story.attempt().phase == "in_doubt"
    assert story.row.due_at is not None
    assert story.outcomes()[-1].attempts[0].status == "in_doubt"


def test_a_callback_settles_a_doubt_and_the_sink_is_told_once() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), callback("queued"), callback("sent"), callback("delivered", at=30))
    (settle,) = story.commands(CommandKind.SETTLE)
    assert (settle.command_id, settle.sid, settle.sender) == (f"{NID}:1:settle", sid(), SENDER)
    assert (settle.body, settle.segments) == (None, 0)
    assert story.state is S.DELIVERED


def test_a_doubt_that_a_callback_answered_before_is_settled_once() -> None:
    story = commanded()
    story.feed(callback("queued"), result(R.IN_DOUBT), result(R.IN_DOUBT), callback("sent"))
    assert len(story.commands(CommandKind.SETTLE)) == 1
    assert story.state is S.SENT


@pytest.mark.parametrize("status", ["delivered", "undelivered"])
def test_a_doubt_is_settled_also_when_the_message_has_ended_before(status: str) -> None:
    story = commanded()
    story.feed(callback(status, error_code=30007 if status == "undelivered" else None))
    state = story.state
    story.feed(result(R.IN_DOUBT))
    assert len(story.commands(CommandKind.SETTLE)) == 1
    assert story.state is state


def test_a_settling_goes_before_everything_else_at_the_sink() -> None:
    story = commanded(priority=Priority.BULK)
    effects = story.feed(result(R.IN_DOUBT), callback("queued"))
    (topic,) = [effect.topic for effect in effects if isinstance(effect.record, OutboundCommand)]
    assert topic is Topic.COMMANDS_URGENT


def test_a_proof_of_absence_allows_another_attempt() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ABSENT))
    assert story.attempt().result == "absent"
    assert next_attempt(story) == 2
    assert [command.command_id for command in story.commands()] == [command_id(NID, 1), command_id(NID, 2)]


def test_a_proof_of_absence_that_a_callback_contradicts_is_not_believed() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), callback("queued"), result(R.ABSENT))
    assert len(story.row.attempts) == 1
    assert story.attempt().phase == "accepted"


def test_a_proof_of_absence_that_a_callback_contradicts_in_time_is_taken_back() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.ABSENT))
    assert story.row.wake == "retry"
    story.feed(callback("sent"))
    assert (story.state, story.row.wake, story.attempt().phase) == (S.SENT, "quiet", "accepted")
    assert story.outcomes()[-1].attempts[0].error_class is None
    story.feed(result(R.ABSENT), callback("undelivered", error_code=30007, at=30))
    assert (story.state, len(story.commands())) == (S.UNDELIVERED, 1)


def test_news_of_an_attempt_thought_absent_does_not_disturb_the_one_after_it() -> None:
    story = commanded()
    story.feed(result(R.ABSENT))
    assert next_attempt(story) == 2
    due, wake = story.row.due_at, story.row.wake
    story.feed(callback("sent", at=2_000))
    assert (story.state, story.row.due_at, story.row.wake) == (S.SENDING, due, wake)


def test_absence_is_tried_more_patiently_than_failure_and_not_for_ever() -> None:
    story = commanded(policy(max_attempts=2))
    story.feed(result(R.ABSENT))
    while story.row.due_at is not None:
        number = next_attempt(story)
        story.feed(result(R.ABSENT, number))
    assert len(story.commands()) == 10
    assert (story.state, story.row.reason) == (S.FAILED, "not-accepted")


def test_a_held_command_is_shown_and_nothing_is_sent_again() -> None:
    story = commanded(**TWO_CHANNELS)
    story.feed(result(R.IN_DOUBT))
    effects = story.feed(result(R.HELD))
    assert (story.state, story.row.reason) == (S.UNCONFIRMED, "held")
    assert of(OutboundCommand, effects) == []
    assert story.outcomes()[-1].attempts[0].status == "held"


def test_a_callback_for_a_held_command_settles_it_and_it_goes_on() -> None:
    story = commanded()
    story.feed(result(R.IN_DOUBT), result(R.HELD), callback("sent"))
    assert story.state is S.SENT
    assert story.row.due_at is not None
    assert len(story.commands(CommandKind.SETTLE)) == 1


def test_a_command_that_nobody_answers_ends_as_unconfirmed() -> None:
    story = commanded()
    story.tick()
    assert (story.state, story.row.reason) == (S.UNCONFIRMED, "no-answer")
    assert len(story.commands()) == 1


def test_a_status_of_another_message_under_the_same_attempt_changes_nothing() -> None:
    story = accepted()
    assert story.feed(callback("delivered", message_sid="SMother")) == ()
    assert story.state is S.SENDING


def test_the_message_first_heard_of_stands_when_the_answer_names_another() -> None:
    story = commanded()
    story.feed(callback("queued"), result(R.ACCEPTED, sid="SMother"))
    assert story.attempt().sid == sid()


@pytest.mark.parametrize("attempt", [0, 2, 99, -1])
def test_a_status_of_an_attempt_that_does_not_exist_changes_nothing(attempt: int) -> None:
    story = commanded()
    assert story.feed(callback("delivered", attempt)) == ()


def test_a_status_without_a_request_starts_no_row() -> None:
    story = Story()
    before = story.row
    assert story.feed(callback("delivered"), result(R.ACCEPTED), verdict()) == ()
    assert story.row == before


# -- bad ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error_class"),
    [(30007, "filtered"), (30034, "configuration"), (30410, "ambiguous"), (99999, "terminal")],
)
def test_a_bad_end_that_no_retry_mends_is_the_end(code: int, error_class: str) -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=code))
    assert (story.state, story.row.reason) == (S.UNDELIVERED, error_class)
    assert story.outcomes()[-1].attempts[0].error_code == code
    assert len(story.commands()) == 1


def test_failed_and_undelivered_are_told_apart() -> None:
    story = accepted()
    story.feed(callback("failed", error_code=30007))
    assert story.state is S.FAILED


def test_a_rejected_command_is_judged_by_its_code() -> None:
    story = commanded()
    story.feed(rejected(21211))
    assert (story.state, story.row.reason) == (S.FAILED, "bad_number")
    assert story.outcomes()[-1].attempts[0].error_class is ErrorClass.BAD_NUMBER


def test_a_transient_end_is_tried_again_as_a_new_attempt() -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003))
    assert (story.state, story.row.due_at is not None) == (S.SENDING, True)
    assert next_attempt(story) == 2
    assert story.attempt(1).phase == "ended"


def test_a_retry_asks_for_admission_again() -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003))
    (check,) = checks(story.tick())
    assert check.attempt == 2
    story.feed(suppress(2))
    assert (story.state, len(story.commands())) == (S.SUPPRESSED, 1)


def test_a_channel_is_given_up_after_its_tries() -> None:
    story = accepted()
    for number in (1, 2, 3):
        story.feed(callback("undelivered", number, error_code=30003))
        if number < POLICY.max_attempts:
            next_attempt(story)
    assert (story.state, story.row.reason, len(story.commands())) == (S.UNDELIVERED, "transient", 3)


def test_the_wait_doubles_and_carries_up_to_a_fifth_of_jitter() -> None:
    story = commanded(policy(max_attempts=9))
    waits = []
    for number in range(1, 9):
        story.feed(result(R.REJECTED, number, error_code=30003))
        assert story.row.due_at is not None
        waits.append(story.row.due_at - T0 - story.clock)
        next_attempt(story)
    doubled = [POLICY.retry_base_ms * 2**power for power in (0, 1, 2, 3, 4, 5, 6, 6)]
    assert all(base <= wait < base * 1.2 for base, wait in zip(doubled, waits, strict=True)), waits


def test_the_jitter_is_the_same_for_every_replay() -> None:
    stories = [accepted(), accepted()]
    for story in stories:
        story.feed(callback("undelivered", error_code=30003))
    assert stories[0].row == stories[1].row


def test_the_jitter_keeps_notifications_that_failed_together_apart() -> None:
    dues = set()
    for number in range(20):
        story = Story()
        story.feed(request(notification_id=f"n-{number}"), verdict(), rejected(30003))
        dues.add(story.row.due_at)
    assert len(dues) > 10


def test_a_rate_limit_is_waited_out_more_patiently() -> None:
    story = commanded(policy(max_attempts=1))
    for number in range(1, 5):
        story.feed(rejected(20429, number))
        assert next_attempt(story) == number + 1


def test_a_bad_end_that_came_before_the_answer_is_judged_once() -> None:
    story = commanded()
    story.feed(callback("undelivered", error_code=30003))
    due = story.row.due_at
    story.feed(result(R.ACCEPTED), callback("sent", at=25))
    assert (story.row.due_at, len(story.row.attempts)) == (due, 1)


# -- the next channel ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [63003, 63016, 21211, 99999])
def test_an_end_that_concerns_the_channel_moves_on_to_the_next(code: int) -> None:
    story = accepted(**TWO_CHANNELS)
    (check,) = checks(story.feed(callback("undelivered", error_code=code)))
    assert (check.channel, check.attempt) == (Channel.SMS, 2)


def test_the_next_channel_has_all_its_tries() -> None:
    story = commanded(policy(max_attempts=2), **TWO_CHANNELS)
    number = 1
    while not story.state.final:
        story.feed(rejected(30003, number))
        if story.row.wake == "retry":
            story.tick()
        number += 1
        story.feed(verdict(number))
    assert [c.channel.value for c in story.commands()] == ["whatsapp", "whatsapp", "sms", "sms"]


@pytest.mark.parametrize("code", [30007, 30034, 30410])
def test_filtered_misconfigured_or_doubtful_is_not_tried_on_another_channel(code: int) -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(callback("undelivered", error_code=code))
    assert (story.state.final, len(story.row.attempts)) == (True, 1)


def test_the_last_channel_is_the_end() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(callback("undelivered", error_code=63003), verdict(2), rejected(21211, 2))
    assert (story.state, story.row.reason) == (S.FAILED, "bad_number")


# -- opt-outs the provider knows of -------------------------------------------------------------------------


@pytest.mark.parametrize("event", [rejected(21610), callback("undelivered", error_code=21610)])
def test_an_opt_out_the_provider_tells_of_is_evidence_for_the_ledger(event: Any) -> None:
    story = commanded()
    effects = story.feed(event)
    (change,) = consent(effects)
    assert (change.recipient, change.state, change.source) == (RECIPIENT, Consent.OPTED_OUT, "provider")
    assert [e.key for e in effects if e.topic is Topic.CONSENT_EVIDENCE] == [RECIPIENT]
    assert (story.state, story.row.reason) == (S.SUPPRESSED, "opted-out")


def test_an_opt_out_is_evidence_also_when_it_comes_after_the_end() -> None:
    story = accepted()
    while not story.state.final:
        story.tick()
    (change,) = consent(story.feed(callback("undelivered", error_code=21610, at=400_000)))
    assert change.state is Consent.OPTED_OUT


def test_an_opt_out_of_a_later_attempt_is_evidence_though_an_earlier_one_was_delivered() -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003))
    next_attempt(story)
    story.feed(callback("delivered", at=2_000))
    (change,) = consent(story.feed(rejected(21610, 2)))
    assert change.state is Consent.OPTED_OUT
    assert story.state is S.DELIVERED


def test_the_evidence_of_one_attempt_is_the_same_change_every_time() -> None:
    one, other = commanded(), commanded()
    (first,) = consent(one.feed(rejected(21610)))
    (second,) = consent(other.feed(callback("undelivered", error_code=21610)))
    assert first.change_id == second.change_id


# -- quiet messages -----------------------------------------------------------------------------------------


def test_the_provider_is_asked_about_a_quiet_message_less_and_less_often() -> None:
    story = accepted()
    asked = []
    while not story.state.final:
        fetches = of(OutboundCommand, story.tick())
        if fetches:
            asked.append(story.clock)
            assert fetches[0].kind is CommandKind.FETCH
            assert (fetches[0].sid, fetches[0].segments) == (sid(), 0)
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[:3] == [2 * POLICY.quiet_after_ms, 4 * POLICY.quiet_after_ms, 8 * POLICY.quiet_after_ms]
    assert (story.state, story.row.reason) == (S.UNCONFIRMED, "no-report")
    assert story.clock == 10 + POLICY.unconfirmed_after_ms


def test_every_question_to_the_provider_has_an_id_of_its_own() -> None:
    story = accepted()
    while not story.state.final:
        story.tick()
    ids = [command.command_id for command in story.commands(CommandKind.FETCH)]
    assert ids == [f"{NID}:1:fetch:{number}" for number in range(1, len(ids) + 1)]
    assert len(ids) >= 4


def test_a_question_to_the_provider_never_goes_before_a_send() -> None:
    effects = accepted(priority=Priority.URGENT).tick()
    assert [e.topic for e in effects if isinstance(e.record, OutboundCommand)] == [Topic.COMMANDS_BULK]


def test_news_puts_the_question_off() -> None:
    story = accepted()
    story.feed(callback("sent", at=5_000), at=5_000)
    assert story.row.due_at == T0 + 5_000 + POLICY.quiet_after_ms


def test_a_copy_of_a_callback_does_not_put_the_question_off() -> None:
    story = accepted()
    story.feed(callback("sent", at=20))
    row = story.row
    assert story.feed(callback("sent", at=20), at=5_000) == ()
    assert story.row == row


def test_a_late_sent_after_unconfirmed_changes_nothing_as_nobody_waits_any_more() -> None:
    story = accepted()
    while not story.state.final:
        story.tick()
    story.feed(callback("sent", at=400_000))
    assert (story.state, story.row.reason, story.row.due_at) == (S.UNCONFIRMED, "no-report", None)


def test_what_the_provider_answers_goes_through_the_same_fold() -> None:
    story = accepted()
    story.tick()
    story.feed(callback("delivered", source="poll"))
    assert story.state is S.DELIVERED


def test_a_late_delivered_after_unconfirmed_is_believed() -> None:
    story = accepted()
    while not story.state.final:
        story.tick()
    story.feed(callback("delivered", at=400_000))
    assert (story.state, story.row.reason, story.row.due_at) == (S.DELIVERED, None, None)


def test_a_late_undelivered_after_unconfirmed_is_believed_and_not_tried_again() -> None:
    story = accepted(**TWO_CHANNELS)
    while not story.state.final:
        story.tick()
    effects = story.feed(callback("undelivered", error_code=30003, at=400_000))
    assert (story.state, story.row.due_at) == (S.UNDELIVERED, None)
    assert [type(effect.record) for effect in effects] == [NotificationOutcome]


# -- a late good end ----------------------------------------------------------------------------------------


def test_a_late_delivered_cancels_the_retry_that_has_not_started() -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003), callback("delivered", at=30))
    assert (story.state, story.row.due_at, len(story.row.attempts)) == (S.DELIVERED, None, 1)


def test_a_late_delivered_cancels_the_attempt_that_only_waits_for_admission() -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003))
    story.tick()
    story.feed(callback("delivered", at=2_000))
    assert story.feed(verdict(2)) == ()
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)


def test_a_late_delivered_cancels_the_next_channel() -> None:
    story = accepted(**TWO_CHANNELS)
    story.feed(callback("undelivered", error_code=63003), callback("delivered", at=30))
    assert story.feed(verdict(2)) == ()
    assert story.state is S.DELIVERED


@pytest.mark.parametrize(
    "event",
    [
        rejected(30007, 2),
        rejected(30003, 2),
        rejected(63003, 2),
        result(R.SUPPRESSED, 2),
        result(R.EXPIRED, 2),
        result(R.ABSENT, 2),
        result(R.HELD, 2),
        callback("undelivered", 2, 3_000, error_code=30003),
        callback("sent", 2, 3_000),
        result(R.ACCEPTED, 2, 3_000),
        result(R.IN_DOUBT, 2, 3_000),
    ],
    ids=lambda event: str(getattr(event, "result", getattr(event, "status", ""))),
)
def test_what_becomes_of_a_later_attempt_never_takes_a_delivery_back(event: Any) -> None:
    story = accepted()
    story.feed(callback("undelivered", error_code=30003))
    assert next_attempt(story) == 2
    story.feed(callback("delivered", at=2_000))
    assert story.state is S.DELIVERED
    effects = story.feed(event)
    assert (story.state, story.row.reason, story.row.due_at) == (S.DELIVERED, None, None)
    assert of(OutboundCommand, effects) == []


def test_a_bad_end_after_a_good_one_is_believed_when_it_is_later_and_starts_nothing() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20))
    effects = story.feed(callback("undelivered", error_code=30003, at=30))
    assert (story.state, story.row.due_at) == (S.UNDELIVERED, None)
    assert of(OutboundCommand, effects) == []
    assert checks(effects) == []


# -- timers -------------------------------------------------------------------------------------------------


def test_a_tick_for_a_deadline_that_moved_is_ignored() -> None:
    story = requested()
    stale = story.row.due_at
    assert stale is not None
    story.feed(verdict())
    row = story.row
    assert story.feed(TimerTick(notification_id=NID, due_at=stale, fired_at=stale)) == ()
    assert story.row == row


def test_a_tick_read_again_is_ignored() -> None:
    story = requested()
    due = story.row.due_at
    assert due is not None
    tick = TimerTick(notification_id=NID, due_at=due, fired_at=due)
    story.feed(tick, at=due - T0)
    assert story.feed(tick, at=due - T0) == ()


def test_a_tick_for_a_notification_nobody_asked_for_is_ignored() -> None:
    assert Story().feed(TimerTick(notification_id=NID, due_at=T0, fired_at=T0)) == ()


@pytest.mark.parametrize("behind_ms", [1, 500, 3_600_000])
def test_a_broker_whose_clock_is_behind_does_not_make_a_deadline_come_again_and_again(behind_ms: int) -> None:
    story = accepted()
    for _ in range(40):
        due = story.row.due_at
        if due is None:
            break
        story.feed(TimerTick(notification_id=NID, due_at=due, fired_at=due), at=due - T0 - behind_ms)
    assert story.state is S.UNCONFIRMED
    assert len(story.commands(CommandKind.FETCH)) < 8


# -- the public answer --------------------------------------------------------------------------------------


def test_the_version_grows_by_one_with_each_visible_change_and_nothing_else_is_written() -> None:
    story = accepted()
    story.feed(callback("sent"), callback("sent"), callback("queued"), callback("delivered", at=30))
    story.feed(callback("delivered", at=31), request(offset=1))
    versions = [outcome.version for outcome in story.outcomes()]
    assert versions == list(range(1, len(versions) + 1))
    assert story.row.version == versions[-1]


def test_two_versions_in_a_row_always_differ_in_more_than_their_number() -> None:
    story = accepted()
    story.tick()
    story.feed(
        callback("sent"), callback("sent", at=25), result(R.ACCEPTED, at=26), callback("delivered", at=30)
    )
    views = [msgspec.structs.replace(o, version=0, updated_at=0) for o in story.outcomes()]
    assert all(one != other for one, other in pairwise(views))


def test_an_outcome_names_the_time_of_the_event_behind_it() -> None:
    story = accepted()
    story.feed(callback("delivered"), at=77)
    assert story.outcomes()[-1].updated_at == T0 + 77


def test_an_event_that_lagged_behind_does_not_set_the_outcomes_time_back() -> None:
    story = accepted()
    story.feed(callback("sent"), at=77)
    story.feed(callback("delivered"), at=50)
    assert story.outcomes()[-1].updated_at == T0 + 77


def test_the_outcome_returns_what_the_producer_labelled_it_with() -> None:
    story = Story()
    story.feed(request(metadata={"campaign": "autumn"}))
    (outcome,) = story.outcomes()
    assert outcome.metadata == {"campaign": "autumn"}
    assert (outcome.tenant, outcome.idempotency_key, outcome.country) == ("acme", "order-1", "DE")
