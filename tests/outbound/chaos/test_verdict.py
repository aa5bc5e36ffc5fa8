"""The verdict finds every wrong that it is there for, and none where there is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sandbox.carrier.ledger import Connection, Handset, Ledger, SeenList, SeenRequest, SimMessage
from schemas.records import AttemptEvent, DeadLetter, OutboundCommand
from schemas.vocabulary import CommandResult, ErrorClass, Priority
from tests.outbound.chaos.outside import Place
from tests.outbound.chaos.plan import Kind, Story
from tests.outbound.chaos.terms import SLOW_BURST, SLOW_RATE, SLOW_SENDERS
from tests.outbound.chaos.verdict import Verdict, judge
from tests.outbound.examples import command

R = CommandResult
EMPTY = Ledger(seed=1, requests=(), messages=(), handsets=(), opt_outs=(), callbacks=(), inbound=())
ONE, TWO = command(body="one"), command(body="two")


def event(of: OutboundCommand, result: CommandResult, at: int = 50_000, **more: Any) -> AttemptEvent:
    return AttemptEvent(
        notification_id=of.notification_id,
        attempt=of.attempt,
        command_id=of.command_id,
        tenant=of.tenant,
        sender=of.sender,
        result=result,
        at=at,
        **more,
    )


def answered(of: OutboundCommand, sid: str, **more: Any) -> AttemptEvent:
    return event(of, R.ACCEPTED, sid=sid, request_id="RQ1", latency_ms=5, **more)


def call(of: OutboundCommand, sid: str | None = None, **more: Any) -> SeenRequest:
    return SeenRequest(
        **{
            "at_ms": 1_000,
            "to": of.recipient,
            "sender": of.sender,
            "body_sha256": of.body or "",
            "content_sid": None,
            "status_callback": f"http://us/twilio/status?n={of.notification_id}&a={of.attempt}#rc=5",
            "ordinal": 1,
            "sid": sid,
            "connection": Connection.ANSWERED,
            "http_status": 201,
            "error_code": None,
            "behaviour": "created",
            **more,
        }
    )


def message(of: OutboundCommand, sid: str) -> SimMessage:
    return SimMessage(
        sid=sid,
        to=of.recipient,
        sender=of.sender,
        service=None,
        country="US",
        carrier="x",
        body_sha256=of.body or "",
        status_callback=None,
        created_ms=1_000,
        status="delivered",
        error_code=None,
        final_status="delivered",
        final_error_code=None,
        reached=True,
        callbacks_pending=0,
        done=True,
    )


def judged(
    events: list[AttemptEvent],
    calls: list[SeenRequest],
    messages: list[SimMessage],
    *commands: OutboundCommand,
    kind: Kind = Kind.ALIKE,
    shown: list[str] | None = None,
) -> Verdict:
    told: dict[str, list[AttemptEvent]] = {}
    for each in events:
        told.setdefault(each.command_id, []).append(each)
    handsets = [each.sid for each in messages] if shown is None else shown
    ledger = Ledger(
        seed=1,
        requests=tuple(calls),
        messages=tuple(messages),
        handsets=tuple(Handset(sid=sid, to="", at_ms=2_000) for sid in handsets),
        opt_outs=(),
        callbacks=(),
        inbound=(),
    )
    stories = {
        each.command_id: Story(number, kind, each, Priority.NORMAL) for number, each in enumerate(commands)
    }
    return judge(stories, told, ledger, (), ())


def test_a_message_told_as_it_was_answered_is_right() -> None:
    assert judged([answered(ONE, "SM1")], [call(ONE, "SM1")], [message(ONE, "SM1")], ONE).wrong == []


LOST = call(ONE, "SM1", connection=Connection.RESET, http_status=None)
SETTLED = event(ONE, R.ACCEPTED, sid="SM1", detail="by callback")


def test_a_doubt_settled_by_its_callback_is_right() -> None:
    verdict = judged([event(ONE, R.IN_DOUBT), SETTLED], [LOST], [message(ONE, "SM1")], ONE)
    assert verdict.wrong == []
    assert (verdict.doubts, verdict.by_callback) == (1, 1)


@pytest.mark.parametrize(
    ("events", "calls", "messages", "what"),
    [
        pytest.param(
            [answered(ONE, "SM1")],
            [call(ONE, "SM1"), call(ONE, "SM2")],
            [message(ONE, "SM1"), message(ONE, "SM2")],
            "REACHED A HANDSET 2 TIMES",
            id="sent twice",
        ),
        pytest.param(
            [answered(ONE, "SM1")],
            [call(ONE, "SM1"), call(ONE, None, http_status=500)],
            [message(ONE, "SM1")],
            "called 2 times",
            id="called again",
        ),
        pytest.param([], [], [], "LOST: nothing was told", id="never told of"),
        pytest.param([event(ONE, R.IN_DOUBT)], [LOST], [message(ONE, "SM1")], "still in doubt", id="open"),
        pytest.param(
            [event(ONE, R.IN_DOUBT), event(ONE, R.ABSENT)],
            [LOST],
            [message(ONE, "SM1")],
            "told absent, and there is a message",
            id="absence proved too early",
        ),
        pytest.param([answered(ONE, "SM1")], [call(ONE)], [], "there is no message", id="made up"),
        pytest.param(
            [answered(ONE, "SM9")],
            [call(ONE, "SM1")],
            [message(ONE, "SM1")],
            "does not know",
            id="an unknown message",
        ),
        pytest.param(
            [answered(ONE, "SM1"), answered(ONE, "SM1")],
            [call(ONE, "SM1")],
            [message(ONE, "SM1")],
            "told accepted then accepted",
            id="told twice",
        ),
        pytest.param(
            [event(ONE, R.ABSENT), event(ONE, R.IN_DOUBT)],
            [call(ONE)],
            [],
            "told absent then in_doubt",
            id="taken back",
        ),
        pytest.param(
            [event(ONE, R.REJECTED, error_code=21610, error_class=ErrorClass.OPT_OUT)],
            [call(ONE, error_code=21211)],
            [],
            "answered [21211]",
            id="another code",
        ),
        pytest.param([event(ONE, R.SUPPRESSED)], [call(ONE)], [], "and called 1 times", id="called in vain"),
        pytest.param([event(ONE, R.SUPPRESSED)], [], [], "ended suppressed", id="nobody opted out"),
        pytest.param(
            [event(ONE, R.IN_DOUBT), event(ONE, R.HELD)], [call(ONE)], [], "and no message without", id="held"
        ),
        pytest.param(
            [event(ONE, R.IN_DOUBT), event(ONE, R.HELD)],
            [LOST],
            [message(ONE, "SM1")],
            "could be nobody else's",
            id="held, though it could be found",
        ),
    ],
)
def test_what_is_wrong_is_found(
    events: list[AttemptEvent], calls: list[SeenRequest], messages: list[SimMessage], what: str
) -> None:
    assert any(what in each for each in judged(events, calls, messages, ONE).wrong)


def test_one_message_told_of_two_commands_is_found() -> None:
    events = [event(ONE, R.IN_DOUBT), SETTLED, event(TWO, R.IN_DOUBT)]
    events.append(msgspec.structs.replace(SETTLED, command_id=TWO.command_id))
    wrong = judged(events, [LOST, call(TWO)], [message(ONE, "SM1")], ONE, TWO).wrong
    assert f"SM1: told of {ONE.command_id} and of {TWO.command_id}" in wrong


def test_a_held_one_is_explained_by_a_message_that_may_be_another_ones() -> None:
    both = [event(ONE, R.IN_DOUBT), event(TWO, R.IN_DOUBT), event(ONE, R.HELD), event(TWO, R.HELD)]
    verdict = judged(both, [LOST, call(TWO)], [message(ONE, "SM1")], ONE, TWO)
    assert verdict.wrong == []
    assert verdict.held_because.total() == 2


def test_a_held_one_is_explained_by_a_provider_that_refused_to_list() -> None:
    events = {ONE.command_id: [event(ONE, R.IN_DOUBT), event(ONE, R.HELD)]}
    refused = SeenList(to=ONE.recipient, at_ms=49_500, error_code=20429)
    ledger = msgspec.structs.replace(EMPTY, requests=(call(ONE),), lists=(refused,))
    story = {ONE.command_id: Story(0, Kind.ORDINARY, ONE, Priority.NORMAL)}
    assert judge(story, events, ledger, (), ()).wrong == []


def test_a_call_for_somebody_who_opted_out_is_found() -> None:
    verdict = judged(
        [answered(ONE, "SM1")], [call(ONE, "SM1")], [message(ONE, "SM1")], ONE, kind=Kind.FORBIDDEN
    )
    assert any("ended accepted" in each for each in verdict.wrong)


def test_dead_letters_are_of_what_nobody_can_read_and_of_nothing_else() -> None:
    letter = DeadLetter(stage="s", reason="r", detail="", topic="t", partition=0, offset=1, at=1)
    wrong = judge({}, {}, EMPTY, {Place("t", 0, 2)}, [letter]).wrong
    assert [each.split(": ")[1] for each in wrong] == [
        "unreadable, and no dead letter",
        "a dead letter of what can be read",
    ]


def paced(*moments_s: float) -> Verdict:
    sender = next(iter(SLOW_SENDERS))
    commands = [command(sender=sender, segments=3) for _ in moments_s]
    calls = [call(each, at_ms=int(at * 1000)) for each, at in zip(commands, moments_s, strict=True)]
    return judged([], calls, [], *commands)


def test_a_slow_sender_may_use_its_bucket_and_then_its_rate() -> None:
    whole = int(SLOW_BURST / 3)
    verdict = paced(*[0.0] * whole, *[number * 3 / SLOW_RATE for number in range(1, 4)])
    assert not [each for each in verdict.wrong if "TOO FAST" in each]
    assert verdict.fastest == 0


def test_a_slow_sender_that_uses_its_bucket_twice_is_too_fast() -> None:
    whole = int(SLOW_BURST / 3)
    [told] = [each for each in paced(*[0.0] * whole, *[2.0] * whole).wrong if "TOO FAST" in each]
    assert told.endswith(f"TOO FAST by {SLOW_BURST - 2 * SLOW_RATE:.1f} segments at the worst moment")
