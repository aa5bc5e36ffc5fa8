"""A call from its begin to the books: what is logged of it, and that nothing about it is left open."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from schemas.records import AttemptEvent, OutboundCommand
from schemas.vocabulary import CommandResult, ErrorClass, Priority
from sinks.outbound.books import Books
from sinks.outbound.brakes import Brakes
from sinks.outbound.calls import Calls
from sinks.outbound.cancels import Cancels
from sinks.outbound.journal import Journal, started
from sinks.outbound.lanes import Waiting
from sinks.outbound.provider import Accepted, Ambiguous, Rejected, SendAnswer, Verdict
from tests.outbound.examples import BODY, RECIPIENT, SENDER, command, now_ms
from tests.outbound.fake_provider import NAME, Pigeons
from tests.outbound.recorded_pacing import RecordedDecisions, RecordedPacing

pytestmark = pytest.mark.anyio


class Falls(Pigeons):
    """A provider whose adapter has a mistake."""

    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        raise RuntimeError(f"about {command.recipient}: {command.body}")


async def called(pigeons: Pigeons) -> tuple[AttemptEvent, list[str], list[dict[str, object]]]:
    """What was reported, whose calls are over, and what was logged."""
    books, over = Books(), list[str]()
    books.take_over(0, Journal())
    providers = {NAME: pigeons}
    cancels = Cancels(providers, books, lambda waiting: None)
    calls = Calls(
        providers,
        "http://127.0.0.1:9",
        books,
        Brakes(RecordedPacing(), RecordedDecisions(), now_ms),
        cancels,
        over.append,
    )
    wanted = command(provider=NAME)
    entry = started(wanted, now_ms())
    with capture_logs() as logs:
        calls.begin(Waiting(wanted, Priority.NORMAL, "normal", 0, 0), entry, time.monotonic() + 5)
        assert wanted.command_id in calls
        assert calls.under_way() == {wanted.command_id}
        await calls.finish()
    assert len(calls) == 0
    assert over == [wanted.command_id]
    [event] = [r for _, _, r in books.take_turn().records if isinstance(r, AttemptEvent)]
    return event, over, [dict(line) for line in logs]


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Accepted("SM1", "queued", "RQ1"), "debug"),
        (Rejected(21211, Verdict(ErrorClass.BAD_NUMBER), "code 21211", "RQ1"), "info"),
        (Ambiguous("HTTP 500", "RQ1", 500), "info"),
    ],
)
async def test_the_request_id_is_logged_and_reported(answer: SendAnswer, level: str) -> None:
    event, _, logs = await called(Pigeons(answers=[answer]))
    assert event.request_id == "RQ1"
    [line] = logs
    assert (line["log_level"], line["request_id"], line["command_id"]) == (level, "RQ1", event.command_id)


async def test_a_call_that_ends_in_no_known_way_may_have_been_carried_out() -> None:
    event, _, logs = await called(Falls())
    assert (event.result, event.detail) == (CommandResult.IN_DOUBT, "unforeseen RuntimeError")
    assert "error" in {line["log_level"] for line in logs}


@pytest.mark.parametrize("pigeons", [Pigeons(), Falls(), Pigeons(answers=[Ambiguous("lost")])])
async def test_no_line_of_the_log_names_a_number_or_a_text(pigeons: Pigeons) -> None:
    _, _, logs = await called(pigeons)
    assert logs
    for secret in (RECIPIENT, RECIPIENT[1:], SENDER, SENDER[1:], BODY):
        assert secret not in str(logs)
