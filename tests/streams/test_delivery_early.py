"""Facts that precede what they are about: kept, joined when their attempt is there, the same in any order."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from schemas.identity import command_id
from schemas.records import AdmissionVerdict, AttemptEvent, ProviderStatus
from schemas.vocabulary import CommandResult, NotificationState, Verdict
from streams.delivery.facts import MOST_EARLY
from streams.delivery.row import NotificationRow
from tests.streams.builders import (
    NID,
    POLICY,
    T0,
    TWO_CHANNELS,
    Story,
    accepted,
    callback,
    commanded,
    request,
    requested,
    result,
    sid,
    suppress,
    undelivered,
    verdict,
)

R, S = CommandResult, NotificationState
Fact = AdmissionVerdict | AttemptEvent | ProviderStatus


def unversioned(row: NotificationRow) -> NotificationRow:
    """How often the answer was published depends on the way; what it says does not."""
    return replace(row, version=0)


# -- before the request -------------------------------------------------------------------------------------


def test_a_callback_before_the_request_tells_nobody_anything_and_is_kept() -> None:
    story = Story()
    assert story.feed(callback("delivered")) == ()
    story.feed(request())
    assert (story.state, story.attempt().sid) == (S.DELIVERED, sid())
    assert story.commands() == []


def test_facts_of_the_whole_way_may_all_precede_the_request() -> None:
    story = Story()
    for fact in (callback("sent"), result(R.ACCEPTED), verdict()):
        assert story.feed(fact) == ()
    story.feed(request())
    assert (story.state, len(story.commands())) == (S.SENT, 1)


def test_a_callback_before_a_request_for_later_is_kept_until_its_time() -> None:
    story = Story()
    story.feed(callback("delivered"), request(send_at=T0 + 500))
    waiting = story.state
    story.tick()
    assert (waiting, story.state) == (S.DEFERRED, S.DELIVERED)


# -- before the attempt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [2, 3, 99])
def test_a_status_of_an_attempt_that_is_not_there_yet_changes_nothing_visible(attempt: int) -> None:
    story = commanded()
    assert story.feed(callback("delivered", attempt)) == ()
    assert story.state is S.SENDING


@pytest.mark.parametrize("attempt", [0, -1, None])
def test_a_status_of_no_attempt_is_no_news(attempt: int | None) -> None:
    story = commanded()
    row = story.row
    assert story.feed(replace(callback("delivered"), attempt=attempt)) == ()
    assert story.row is row


def test_a_status_that_was_early_counts_once_its_attempt_is_there() -> None:
    story = accepted()
    story.feed(callback("delivered", 2, 3_000), undelivered(30003))
    story.settle()
    assert story.state is S.SENDING
    story.tick()
    assert (story.state, len(story.commands())) == (S.DELIVERED, 1)


def test_a_verdict_that_was_early_is_taken_when_its_attempt_begins() -> None:
    story = requested(**TWO_CHANNELS)
    assert story.feed(verdict(2)) == ()
    story.feed(verdict(1, Verdict.NEXT_CHANNEL, "dead-number"))
    assert [command.attempt for command in story.commands()] == [2]


def test_copies_of_what_was_early_are_kept_once() -> None:
    story = Story()
    for _ in range(3):
        story.feed(callback("sent"), result(R.ACCEPTED), verdict())
    assert len(story.row.early) == 3


def test_what_is_early_is_bounded() -> None:
    story = Story()
    for number in range(MOST_EARLY + 10):
        story.feed(callback("sent", at=number, event_id=str(number)))
    assert len(story.row.early) == MOST_EARLY


def test_nothing_is_kept_apart_once_it_has_been_joined() -> None:
    story = Story()
    story.feed(callback("sent"), verdict(), request())
    assert len(story.row.early) == 0


# -- before the admission -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ruling", list(Verdict))
@pytest.mark.parametrize("status", ["queued", "sent", "delivered", "undelivered"])
def test_any_verdict_on_an_attempt_that_exists_at_the_provider_already_is_survived(
    ruling: Verdict, status: str
) -> None:
    story = requested(**TWO_CHANNELS)
    story.feed(callback(status), verdict(1, ruling, "some-reason", until=T0 + 700))
    assert story.row.due_at is not None
    story.tick()


def test_a_message_that_exists_is_commanded_at_most_under_the_id_it_was_sent_under() -> None:
    story = requested()
    story.feed(callback("sent"), verdict())
    assert story.state is S.SENT
    assert {command.command_id for command in story.commands()} == {command_id(NID, 1)}


@pytest.mark.parametrize("ruling", list(Verdict))
@pytest.mark.parametrize("status", ["queued", "sent", "undelivered"])
def test_a_verdict_means_the_same_before_and_after_a_callback_of_its_attempt(
    ruling: Verdict, status: str
) -> None:
    before, after = requested(**TWO_CHANNELS), requested(**TWO_CHANNELS)
    ruled = verdict(1, ruling, "some-reason", until=T0 + 700)
    before.feed(ruled, callback(status))
    after.feed(callback(status), ruled)
    assert unversioned(before.row) == unversioned(after.row)


# -- any order ----------------------------------------------------------------------------------------------


HISTORIES: dict[str, tuple[Fact, ...]] = {
    "delivered": (
        result(R.ACCEPTED),
        callback("sent", at=15),
        callback("delivered", at=30),
        callback("read", at=40),
    ),
    "undelivered, then delivered": (
        result(R.ACCEPTED),
        undelivered(30003),
        callback("delivered", at=30),
        callback("sent", at=15),
    ),
    "delivered, then undelivered": (
        result(R.ACCEPTED),
        callback("delivered", at=15),
        undelivered(30005, at=30),
        callback("sent", at=12),
    ),
    "two bad ends": (
        result(R.ACCEPTED),
        undelivered(30003),
        callback("failed", at=25, error_code=30007),
        callback("sent", at=12),
    ),
    "doubt and proof": (
        result(R.IN_DOUBT),
        result(R.ABSENT, at=15),
        callback("queued", at=12),
        undelivered(21610, at=18),
    ),
    "held, then known": (result(R.IN_DOUBT), result(R.HELD, at=15), result(R.REJECTED, at=18)),
}


@pytest.mark.parametrize("facts", HISTORIES.values(), ids=HISTORIES.keys())
def test_facts_between_two_deadlines_give_the_same_row_in_any_order_and_doubled(
    facts: tuple[Fact, ...],
) -> None:
    rows: list[NotificationRow] = []
    for order in permutations(facts):
        for doubled in (order, (*order, *order), tuple(fact for fact in order for _ in (1, 2))):
            story = commanded()
            story.feed(*doubled)
            rows.append(unversioned(story.row))
    assert all(row == rows[0] for row in rows)


@pytest.mark.parametrize("facts", HISTORIES.values(), ids=HISTORIES.keys())
def test_what_is_done_at_the_deadline_does_not_depend_on_the_order_before_it(facts: tuple[Fact, ...]) -> None:
    ends = []
    for order in permutations(facts):
        story = commanded(**TWO_CHANNELS)
        story.feed(*order)
        story.tick()
        ends.append((story.state, story.stands.reason, story.row.due_at, len(story.row.attempts)))
    assert all(end == ends[0] for end in ends)


def test_a_request_and_the_facts_of_its_first_attempt_give_the_same_row_in_any_order() -> None:
    rows = []
    facts: tuple[Fact, ...] = (verdict(), result(R.ACCEPTED), callback("sent"))
    for order in permutations(facts):
        for place in range(4):
            story = Story()
            story.feed(*order[:place], at=0)
            story.feed(request(), at=0)
            story.feed(*order[place:], at=0)
            rows.append(unversioned(story.row))
    assert all(row == rows[0] for row in rows)
    assert rows[0].due_at == T0 + 10 + POLICY.quiet_after_ms


def test_a_suppressed_attempt_is_so_whether_or_not_the_verdict_came_before_its_request() -> None:
    early, timely = Story(), requested()
    early.feed(suppress(), request())
    timely.feed(suppress())
    assert early.stands == timely.stands
