"""The public answer: a version for each difference a reader can see, and nothing for any other."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from schemas.vocabulary import CommandResult, NotificationState
from streams.fold import KNOWN
from tests.streams.builders import (
    T0,
    Story,
    accepted,
    callback,
    commanded,
    request,
    requested,
    result,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState
BEFORE_SENT = ["accepted", "scheduled", "queued", "sending"]


# -- progress that tells nobody anything --------------------------------------------------------------------


@pytest.mark.parametrize("status", BEFORE_SENT)
def test_a_status_that_only_adds_a_mark_of_progress_writes_nothing(status: str) -> None:
    story = accepted()
    version = story.row.version
    assert story.feed(callback(status)) == ()
    assert status in {mark.status for mark in story.attempt().marks}
    assert story.row.version == version


@pytest.mark.parametrize("status", [*BEFORE_SENT, "sent", "partially_delivered"])
@pytest.mark.parametrize("end", ["delivered", "read", "undelivered", "failed", "canceled"])
def test_progress_below_or_beside_an_end_changes_no_more_than_when_it_was_sent(status: str, end: str) -> None:
    story = accepted()
    story.feed(
        callback("sent", at=12), callback(end, at=15, error_code=30007 if end == "undelivered" else None)
    )
    assert story.feed(callback(status, at=30)) == ()


@pytest.mark.parametrize("status", BEFORE_SENT)
def test_progress_after_sent_writes_nothing(status: str) -> None:
    story = accepted()
    story.feed(callback("sent"))
    assert story.feed(callback(status, at=30)) == ()


@pytest.mark.parametrize("status", sorted(KNOWN))
def test_a_second_sight_of_any_status_writes_nothing(status: str) -> None:
    story = accepted()
    story.feed(callback(status))
    assert story.feed(callback(status, at=30), callback(status, at=40)) == ()


@pytest.mark.parametrize("status", BEFORE_SENT)
def test_what_comes_before_sent_is_shown_as_accepted(status: str) -> None:
    story = commanded()
    story.feed(callback(status))
    (attempt,) = story.outcomes()[-1].attempts
    assert (attempt.status, story.state) == ("accepted", S.SENDING)


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "undelivered", "failed", "canceled"])
def test_what_a_reader_cares_for_is_shown_by_its_own_name(status: str) -> None:
    story = accepted()
    story.feed(callback(status))
    assert story.outcomes()[-1].attempts[0].status == status


# -- versions -----------------------------------------------------------------------------------------------


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


def test_an_event_that_is_no_news_leaves_the_very_same_row() -> None:
    story = accepted()
    story.feed(callback("sent"))
    row = story.row
    story.feed(callback("sent"), result(R.ACCEPTED), verdict(), request())
    assert story.row is row


def test_an_ordinary_delivery_is_told_in_few_versions() -> None:
    story = requested()
    story.feed(verdict(), result(R.ACCEPTED))
    story.feed(callback("queued", at=11), callback("sending", at=12), callback("sent", at=13))
    story.feed(callback("delivered", at=30))
    told = [(outcome.state, outcome.attempts[0].status) for outcome in story.outcomes()]
    assert told[-3:] == [(S.SENDING, "accepted"), (S.SENT, "sent"), (S.DELIVERED, "delivered")]
    assert len(told) <= 5


# -- times and labels ---------------------------------------------------------------------------------------


def test_an_outcome_names_the_time_of_the_fact_behind_it_and_not_of_its_reading() -> None:
    story = accepted()
    story.feed(callback("delivered", at=77), at=5_000)
    assert story.outcomes()[-1].updated_at == T0 + 77


def test_an_outcome_of_a_deadline_names_its_time() -> None:
    story = accepted()
    story.feed(undelivered(30007, at=20))
    story.settle()
    assert story.outcomes()[-1].updated_at == T0 + story.clock


def test_a_fact_that_lagged_behind_does_not_set_the_outcomes_time_back() -> None:
    story = accepted()
    story.feed(callback("delivered", at=77))
    story.feed(callback("sent", at=50))
    assert story.outcomes()[-1].updated_at == T0 + 77


def test_the_outcome_returns_what_the_producer_labelled_it_with() -> None:
    story = Story()
    story.feed(request(metadata={"campaign": "autumn"}))
    (outcome,) = story.outcomes()
    assert outcome.metadata == {"campaign": "autumn"}
    assert (outcome.tenant, outcome.idempotency_key, outcome.country) == ("acme", "order-1", "DE")


def test_every_attempt_is_in_the_outcome_with_its_channel_sender_and_segments() -> None:
    story = commanded(body="long", segments=3, sender="+14155550177")
    story.feed(result(R.REJECTED, error_code=30003))
    story.next_attempt()
    attempts = story.outcomes()[-1].attempts
    assert [(a.attempt, a.channel.value, a.sender, a.segments) for a in attempts] == [
        (1, "sms", "+14155550177", 3),
        (2, "sms", "+14155550177", 3),
    ]
