"""Requests that are refused, and requests that come more than once."""

from __future__ import annotations

from schemas.identity import conflict_id
from schemas.records import NotificationOutcome, Origin
from schemas.vocabulary import NotificationState
from tests.streams.builders import NID, POLICY, T0, Story, accepted, callback, commanded, of, request

S = NotificationState


def test_a_refused_request_ends_as_invalid_with_the_reason() -> None:
    story = Story()
    effects = story.feed(request(refusal="empty-body", refusal_detail="there is nothing to say"))
    (outcome,) = of(NotificationOutcome, effects)
    assert len(effects) == 1
    assert (outcome.state, outcome.reason, outcome.final) == (S.INVALID, "empty-body", True)
    assert outcome.detail == "there is nothing to say"


def test_a_request_without_a_step_ends_as_invalid() -> None:
    story = Story()
    story.feed(request(steps=()))
    assert (story.state, story.stands.reason, story.row.attempts) == (S.INVALID, "no-steps", ())


def test_a_refused_request_is_refused_also_when_it_was_for_later() -> None:
    story = Story()
    story.feed(request(refusal="empty-body", send_at=T0 + 500))
    assert story.state is S.INVALID


def test_a_repeat_is_counted_and_starts_nothing() -> None:
    story = commanded()
    effects = story.feed(request(offset=1))
    assert story.row.duplicates == 1
    assert [type(effect.record) for effect in effects] == [NotificationOutcome]
    assert of(NotificationOutcome, effects)[0].duplicates == 1
    assert len(story.commands()) == 1


def test_the_same_record_read_again_is_no_repeat() -> None:
    story = commanded()
    row = story.row
    assert story.feed(request()) == ()
    assert story.row is row


def test_a_repeat_read_again_is_counted_once() -> None:
    story = commanded()
    story.feed(request(offset=1), request(offset=2), request(offset=1), request(offset=2))
    assert story.row.duplicates == 2


def test_many_repeats_read_again_are_still_counted_once() -> None:
    story = commanded()
    repeats = [request(offset=number) for number in range(1, 41)]
    story.feed(*repeats, *repeats)
    assert story.row.duplicates == 40


def test_repeats_of_several_partitions_are_counted_each_for_itself() -> None:
    story = commanded()
    one, other = (
        request(origin=Origin(topic="notify.requested", partition=number, offset=7)) for number in (1, 2)
    )
    story.feed(one, other, one, other)
    assert story.row.duplicates == 2


def test_a_repeat_with_other_content_is_refused_by_an_outcome_of_its_own() -> None:
    story = commanded()
    before = story.row
    effects = story.feed(request(offset=1, content_hash="c1", metadata={"campaign": "other"}))
    (outcome,) = of(NotificationOutcome, effects)
    assert effects[0].key == outcome.notification_id == conflict_id(NID, "c1")
    assert (outcome.state, outcome.reason, outcome.final) == (S.CONFLICT, "other-content", True)
    assert (outcome.conflicts_with, outcome.content_hash) == (NID, "c1")
    assert outcome.metadata == {"campaign": "other"}
    assert story.row == before


def test_the_refusal_of_a_conflict_is_the_same_record_every_time() -> None:
    story = commanded()
    conflict = request(offset=1, content_hash="c1")
    first = story.feed(conflict, at=7)
    assert of(NotificationOutcome, first)
    assert story.feed(conflict, at=7) == first


def test_a_refused_request_that_comes_again_with_other_content_is_a_conflict_too() -> None:
    story = Story()
    story.feed(request(refusal="empty-body"))
    (outcome,) = of(NotificationOutcome, story.feed(request(offset=1, content_hash="c1")))
    assert outcome.state is S.CONFLICT
    assert story.row.attempts == ()


def test_a_repeat_after_the_end_starts_nothing() -> None:
    story = accepted()
    story.feed(callback("delivered"))
    story.feed(request(offset=1))
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)


def test_a_repeat_does_not_make_a_notification_remembered_for_longer() -> None:
    story = accepted()
    story.feed(callback("delivered", at=20))
    story.feed(request(offset=1), at=5_000)
    assert story.row.due_at == T0 + 20 + POLICY.remember_ms
