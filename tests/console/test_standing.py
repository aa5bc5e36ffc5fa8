"""What `show` says of where a notification stands, for every kind of place it can stand in."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from notifystream.standing import Standing, clock, standing_of
from schemas.records import Step
from schemas.vocabulary import Channel, CommandResult, ContentKind, Verdict
from streams.delivery.row import NotificationRow
from tests.streams.builders import (
    NID,
    RECIPIENT,
    SENDER,
    T0,
    Story,
    accepted,
    callback,
    chain,
    commanded,
    rejected,
    request,
    requested,
    result,
    sid,
    suppress,
    verdict,
)

TWO = chain(
    Step(channel=Channel.WHATSAPP, body="hello", content_sid="HX1", wait_ms=5_000, cost="0.05"),
    Step(channel=Channel.SMS, body="hello", segments=2, smart_encoded=True),
)


def told(story: Story) -> Standing:
    found = standing_of(story.row)
    assert found is not None
    return found


def fed(story: Story, *events: object) -> Story:
    story.feed(*events)  # type: ignore[arg-type]
    return story


def waiting_for_its_time() -> Story:
    return requested(send_at=T0 + 60_000)


def deferred() -> Story:
    return fed(requested(), verdict(verdict=Verdict.DEFER, reason="quiet-hours", until=T0 + 3_600_000))


def in_doubt() -> Story:
    return fed(commanded(), result(CommandResult.IN_DOUBT))


def failed_for_now() -> Story:
    story = fed(accepted(), callback("undelivered", error_code=30003))
    story.tick()
    return story


def at_the_first_of_two() -> Story:
    return accepted(**TWO)


@pytest.mark.parametrize(
    ("story", "words", "then"),
    [
        (waiting_for_its_time, f"waits for its time, {clock(T0 + 60_000)}", "it is sent"),
        (requested, "step 1/1 (sms) waits for its admission since", "admission is asked again"),
        (
            deferred,
            f"may not be sent now (quiet-hours); asked again at {clock(T0 + 3_600_000)}",
            "admission is asked again",
        ),
        (commanded, "waits for its turn to be sent since", "it is given up as unconfirmed"),
        (in_doubt, "is in doubt since", "it is given up as unconfirmed"),
        (accepted, "is with the provider since", "the provider is asked what became of it"),
        (
            lambda: fed(accepted(), callback("sent")),
            "is with the carrier since",
            "the provider is asked what became of it",
        ),
        (at_the_first_of_two, "attempt 1 of step 1/2 (whatsapp)", "step 2 (sms) begins"),
        (
            lambda: fed(accepted(), callback("undelivered", error_code=30007)),
            "ended undelivered at",
            "its end is judged",
        ),
        (failed_for_now, "with 30003, the handset is off or out of reach; another one begins", "attempt 2"),
    ],
)  # fmt: skip
def test_an_open_notification_says_what_it_waits_for_and_until_when(
    story: Callable[[], Story], words: str, then: str
) -> None:
    made = story()
    found = told(made)
    assert words in found.in_words
    assert not found.final
    assert found.next_deadline is not None
    assert found.next_deadline.then.startswith(then)
    assert found.next_deadline.at == clock(made.row.due_at or 0)


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (lambda: fed(accepted(), callback("delivered", at=3_200)), "3.2 s after the request"),
        (lambda: fed(accepted(), callback("delivered"), callback("read", at=99)), "read by sms at"),
        (
            lambda: requested(refusal="empty-body", refusal_detail="set body", steps=(), channels=()),
            "invalid, and was never sent; empty-body: set body",
        ),
        (lambda: fed(requested(), suppress()), "suppressed after 1 attempt; opted-out"),
        (lambda: fed(commanded(), result(CommandResult.HELD)), "unconfirmed after 1 attempt; held"),
    ],
)
def test_a_final_notification_says_how_it_ended_and_waits_for_nothing(
    story: Callable[[], Story], words: str
) -> None:
    found = told(story())
    assert words in found.in_words
    assert found.final
    assert found.next_deadline is None


def test_a_verdict_is_told_with_its_reason_and_what_may_be_sent() -> None:
    story = fed(requested(), verdict(content=ContentKind.TEMPLATE, reason="outside-window"))
    admission = told(story).attempts[0].admission
    assert admission is not None
    assert (admission.verdict, admission.reason, admission.content) == ("admit", "outside-window", "template")


def test_an_error_is_told_with_its_meaning_and_what_to_do() -> None:
    error = told(fed(commanded(), rejected(21211))).attempts[0].error
    assert error is not None
    assert (error.code, error.meaning) == (21211, "not a possible phone number")
    assert error.what_to_do is not None
    assert error.what == "rejected (bad_number)"


def test_an_attempt_is_told_with_its_message_and_all_its_statuses() -> None:
    story = fed(accepted(), callback("sent", at=30), callback("delivered", at=40))
    (attempt,) = told(story).attempts
    assert (attempt.sid, attempt.sender, attempt.status) == (sid(), SENDER, "delivered")
    assert [(mark.status, mark.at) for mark in attempt.statuses][-2:] == [
        ("sent", clock(T0 + 30)),
        ("delivered", clock(T0 + 40)),
    ]


def test_steps_are_described_and_their_text_is_not_shown() -> None:
    found = told(requested(**TWO))
    assert found.steps[0].says == "text of 5 characters (1 segment GSM-7), template HX1"
    assert found.steps[1].says == "text of 5 characters (2 segments GSM-7, smart-encoded)"
    assert (found.steps[0].wait_ms, found.steps[0].cost) == (5_000, "0.05")


def test_neither_the_whole_number_nor_the_text_is_in_it() -> None:
    story = fed(commanded(body="a secret text"), result(CommandResult.REJECTED, detail=f"{RECIPIENT} is bad"))
    everything = json.dumps(msgspec.to_builtins(told(story)))
    assert RECIPIENT[1:] not in everything
    assert "secret" not in everything
    assert told(story).recipient == "+4915•••••89"


def test_repeats_are_counted() -> None:
    assert told(fed(requested(), request(offset=1))).duplicates == 1


def test_callbacks_without_a_request_stand_nowhere() -> None:
    assert standing_of(NotificationRow()) is None
    assert told(requested()).notification_id == NID
