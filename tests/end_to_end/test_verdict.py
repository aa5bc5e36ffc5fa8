"""The demo's judge: it acquits a run that went well, and finds each kind of wrong that is planted in one.

The ledgers here are made by hand: one notification, one fate, one lie.
"""

import dataclasses
import hashlib

import msgspec
import pytest

from sandbox.carrier.ledger import Connection, Handset, Ledger, OptOut, SeenRequest, SimMessage
from sandbox.demo.callbacks import attempt_of
from sandbox.demo.plan import SENDERS, Kind, Plan, Planned, Stop, make_plan
from sandbox.demo.verdict import PROMISES, Verdict, judge
from schemas.identity import conflict_id, notification_id
from schemas.records import NotificationOutcome, NotifyRequest
from schemas.vocabulary import NotificationState

SENDER = "+14155550110"
PERSON = "+447300000001"
TEXT = "Ann, order 1 has left our warehouse."
ID = notification_id("acme", "k1")
SID = "HX" + "0" * 32


def planned(kind: Kind = Kind.NOTIFICATION, key: str = "k1") -> Planned:
    request = NotifyRequest(tenant="acme", idempotency_key=key, recipient=PERSON, body=TEXT, sender=SENDER)
    return Planned(kind, key, request, TEXT)


def plan(*events: Planned) -> Plan:
    return Plan(7, (), events or (planned(),), SENDERS)


def created(
    attempt: int = 1,
    *,
    sid: str | None = "SM1",
    identity: str = ID,
    error_code: int | None = None,
    to: str = PERSON,
    at_ms: int = 100,
) -> SeenRequest:
    return SeenRequest(
        at_ms=at_ms,
        to=to,
        sender=SENDER,
        body_sha256=hashlib.sha256(TEXT.encode()).hexdigest(),
        content_sid=None,
        status_callback=f"http://127.0.0.1:1/twilio/status?n={identity}&a={attempt}",
        ordinal=attempt,
        sid=sid,
        connection=Connection.ANSWERED,
        http_status=201 if sid else 400,
        error_code=error_code,
        behaviour="created",
    )


def message(
    final: str, *, sid: str = "SM1", to: str = PERSON, text: str = TEXT, created_ms: int = 100
) -> SimMessage:
    return SimMessage(
        sid=sid,
        to=to,
        sender=SENDER,
        service=None,
        country="GB",
        carrier="EE",
        body_sha256=hashlib.sha256(text.encode()).hexdigest(),
        status_callback=None,
        created_ms=created_ms,
        status=final,
        error_code=None,
        final_status=final,
        final_error_code=None,
        reached=final == "delivered",
        callbacks_pending=0,
        done=True,
    )


def ledger(
    requests: tuple[SeenRequest, ...] = (),
    messages: tuple[SimMessage, ...] = (),
    reached: tuple[str, ...] = (),
    opt_outs: tuple[OptOut, ...] = (),
) -> Ledger:
    return Ledger(
        seed=7,
        requests=requests,
        messages=messages,
        handsets=tuple(Handset(sid=sid, to=PERSON, at_ms=200) for sid in reached),
        opt_outs=opt_outs,
        callbacks=(),
        inbound=(),
    )


def stopped(at_ms: int, sender: str = SENDER) -> OptOut:
    return OptOut(recipient=PERSON, sender=sender, at_ms=at_ms, keyword="STOP", opted_out=True)


def outcome(
    state: NotificationState, identity: str = ID, conflicts_with: str | None = None
) -> NotificationOutcome:
    return NotificationOutcome(
        notification_id=identity,
        version=1,
        tenant="acme",
        idempotency_key="k1",
        content_hash="",
        state=state,
        final=state.final,
        recipient=PERSON,
        country="GB",
        carrier="EE",
        carrier_source="prefix",
        category="transactional",
        priority="normal",
        requested_at=0,
        updated_at=0,
        conflicts_with=conflicts_with,
    )


def judged(
    seen: Ledger,
    *outcomes: NotificationOutcome,
    events: tuple[Planned, ...] = (),
    letters: tuple[bytes, ...] = (),
) -> Verdict:
    return judge(plan(*events), {o.notification_id: o for o in outcomes}, letters, seen, 1.0)


DELIVERED = ledger((created(),), (message("delivered"),), ("SM1",))


def promises(verdict: Verdict) -> dict[str, int]:
    return {name: count for name in PROMISES if (count := getattr(verdict, name))}


def test_a_run_that_went_well_is_acquitted() -> None:
    verdict = judged(DELIVERED, outcome(NotificationState.DELIVERED))
    assert verdict.passed
    assert (verdict.requested, verdict.accepted, verdict.delivered, verdict.api_calls) == (1, 1, 1, 1)


def test_two_messages_on_one_handset_are_a_double_send() -> None:
    seen = ledger(
        (created(1), created(2, sid="SM2")),
        (message("delivered"), message("delivered", sid="SM2")),
        ("SM1", "SM2"),
    )
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"double_sends": 1}


def test_one_message_shown_twice_is_a_double_send() -> None:
    seen = ledger((created(),), (message("delivered"),), ("SM1", "SM1"))
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"double_sends": 1}


def test_a_command_accepted_twice_is_a_double_send_even_if_nobody_saw_it() -> None:
    seen = ledger(
        (created(1), created(1, sid="SM2")), (message("undelivered"), message("undelivered", sid="SM2"))
    )
    assert promises(judged(seen, outcome(NotificationState.UNDELIVERED))) == {"double_sends": 1}


def test_a_second_attempt_after_a_bad_end_is_no_double_send() -> None:
    seen = ledger(
        (created(1), created(2, sid="SM2")),
        (message("undelivered"), message("delivered", sid="SM2")),
        ("SM2",),
    )
    assert judged(seen, outcome(NotificationState.DELIVERED)).passed


def test_a_notification_twilio_never_heard_of_is_lost_whatever_the_pipeline_says() -> None:
    for state in (NotificationState.DELIVERED, NotificationState.FAILED, NotificationState.SUPPRESSED):
        assert promises(judged(ledger(), outcome(state))) == {"lost": 1}


def test_a_notification_without_any_trace_is_lost_and_open() -> None:
    assert promises(judged(ledger())) == {"lost": 1, "open": 1}


def test_an_outcome_that_is_not_final_is_open() -> None:
    assert promises(judged(DELIVERED, outcome(NotificationState.SENT))) == {"open": 1}


@pytest.mark.parametrize(
    ("final", "right"),
    [
        ("delivered", {"delivered"}),
        ("read", {"delivered", "read"}),
        ("undelivered", {"undelivered"}),
        ("failed", {"failed"}),
        ("canceled", {"failed"}),
        ("sent", {"unconfirmed"}),
    ],
)
def test_only_the_state_that_agrees_with_the_ledger_is_right(final: str, right: set[str]) -> None:
    seen = ledger((created(),), (message(final),), ("SM1",))
    accepted = {s.value for s in NotificationState if s.final and judged(seen, outcome(s)).passed}
    assert accepted == right


@pytest.mark.parametrize(
    ("code", "right"), [(21211, {"failed"}), (20429, {"failed"}), (21610, {"suppressed"})]
)
def test_a_refusal_of_the_api_means_failed_or_suppressed(code: int, right: set[str]) -> None:
    seen = ledger((created(sid=None, error_code=code),))
    accepted = {s.value for s in NotificationState if s.final and judged(seen, outcome(s)).passed}
    assert accepted == right


def test_the_last_attempt_decides_when_none_was_delivered() -> None:
    seen = ledger((created(1), created(2, sid="SM2")), (message("undelivered"), message("sent", sid="SM2")))
    assert judged(seen, outcome(NotificationState.UNCONFIRMED)).passed
    assert promises(judged(seen, outcome(NotificationState.UNDELIVERED))) == {"wrong_state": 1}


def test_a_late_delivery_of_an_earlier_attempt_decides_too() -> None:
    seen = ledger((created(1), created(2, sid=None, error_code=20429)), (message("delivered"),), ("SM1",))
    assert judged(seen, outcome(NotificationState.DELIVERED)).passed
    assert promises(judged(seen, outcome(NotificationState.FAILED))) == {"wrong_state": 1}


def test_a_message_to_somebody_who_stopped_before_is_found() -> None:
    seen = ledger((created(),), (message("delivered"),), ("SM1",), (stopped(at_ms=50),))
    verdict = judged(seen, outcome(NotificationState.DELIVERED), events=(planned(Kind.STOPPED),))
    assert promises(verdict) == {"sent_after_opt_out": 1}


def test_twilio_refusing_what_should_not_have_been_asked_is_found() -> None:
    seen = ledger((created(sid=None, error_code=21610),), opt_outs=(stopped(at_ms=50),))
    verdict = judged(seen, outcome(NotificationState.SUPPRESSED), events=(planned(Kind.STOPPED),))
    assert promises(verdict) == {"sent_after_opt_out": 1}


def test_a_stop_to_one_sender_counts_for_all_senders_of_its_tenant_and_no_other() -> None:
    for sender, found in (("+14155550111", {"sent_after_opt_out": 1}), ("+14155550120", {})):
        seen = ledger((created(),), (message("delivered"),), ("SM1",), (stopped(50, sender),))
        assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == found


def test_a_stop_after_the_message_is_no_fault_of_it() -> None:
    seen = ledger((created(),), (message("delivered"),), ("SM1",), (stopped(at_ms=150),))
    assert judged(seen, outcome(NotificationState.DELIVERED)).passed


def test_nobody_who_stopped_is_lost_when_suppressed() -> None:
    seen = ledger(opt_outs=(stopped(at_ms=50),))
    verdict = judged(seen, outcome(NotificationState.SUPPRESSED), events=(planned(Kind.STOPPED),))
    assert verdict.passed
    assert verdict.suppressed == 1


def test_a_message_to_somebody_else_is_wrong() -> None:
    seen = ledger((created(),), (message("delivered", to="+447300000009"),), ("SM1",))
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"wrong_state": 1}


def test_another_text_than_asked_for_is_wrong() -> None:
    seen = ledger((created(),), (message("delivered", text="something else"),), ("SM1",))
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"wrong_state": 1}


@pytest.mark.parametrize(("template", "wrong"), [(SID, 0), ("HX" + "f" * 32, 1)], ids=["right", "other"])
def test_what_went_as_a_template_is_judged_by_the_template(template: str, wrong: int) -> None:
    asked = dataclasses.replace(planned(), content_sid=SID)
    sent = msgspec.structs.replace(created(), content_sid=template)
    seen = ledger((sent,), (message("delivered", text=""),), ("SM1",))
    verdict = judge(plan(asked), {ID: outcome(NotificationState.DELIVERED)}, (), seen, 1.0)
    assert verdict.wrong_state == wrong


def test_a_create_nobody_asked_for_is_wrong() -> None:
    stranger = notification_id("acme", "other")
    seen = ledger(
        (created(), created(identity=stranger, sid="SM2")),
        (message("delivered"), message("delivered", sid="SM2")),
        ("SM1", "SM2"),
    )
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"wrong_state": 1}


def test_a_create_without_our_callback_url_is_wrong() -> None:
    assert attempt_of("http://127.0.0.1:1/twilio/status?x=1") is None
    foreign = created(identity="not-an-id", sid=None)
    seen = ledger((created(), foreign), (message("delivered"),), ("SM1",))
    assert promises(judged(seen, outcome(NotificationState.DELIVERED))) == {"wrong_state": 1}


def test_an_invalid_request_that_was_sent_is_wrong() -> None:
    verdict = judged(DELIVERED, outcome(NotificationState.INVALID), events=(planned(Kind.INVALID),))
    assert promises(verdict) == {"wrong_state": 1}


def test_an_invalid_request_with_another_outcome_is_wrong() -> None:
    for state in (NotificationState.FAILED, NotificationState.SUPPRESSED):
        verdict = judged(ledger(), outcome(state), events=(planned(Kind.IMPOSSIBLE),))
        assert promises(verdict) == {"wrong_state": 1}


def test_an_unreadable_event_must_become_a_dead_letter() -> None:
    bad = Planned(Kind.UNREADABLE, "bad", value=b"bad")
    events = (planned(), bad)
    assert promises(judged(DELIVERED, outcome(NotificationState.DELIVERED), events=events)) == {"open": 1}
    assert judged(DELIVERED, outcome(NotificationState.DELIVERED), events=events, letters=(b"bad",)).passed


def test_a_repeat_with_other_content_must_be_refused() -> None:
    events = (planned(), planned(Kind.CONFLICT))
    delivered = outcome(NotificationState.DELIVERED)
    refused = outcome(NotificationState.CONFLICT, conflict_id(ID, "x"), conflicts_with=ID)
    assert promises(judged(DELIVERED, delivered, events=events)) == {"open": 1}
    assert judged(DELIVERED, delivered, refused, events=events).passed


def test_every_finding_names_its_notification() -> None:
    [finding] = judged(ledger(), outcome(NotificationState.FAILED)).findings
    assert (finding.kind, finding.notification_id) == ("lost", ID)


# -- the plan ------------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert make_plan(200, 7) == make_plan(200, 7)
    assert make_plan(200, 7) != make_plan(200, 8)


@pytest.mark.parametrize("messages", [1, 10, 50, 500])
def test_a_plan_has_as_many_events_as_asked_for(messages: int) -> None:
    assert len(make_plan(messages, 7).events) == messages


def test_every_kind_of_event_occurs_from_50_events_on() -> None:
    assert {event.kind for event in make_plan(50, 7).events} == set(Kind)


def test_a_label_changes_the_keys_and_nothing_else() -> None:
    def shown(label: str) -> list[tuple[Kind, str | None, str | None]]:
        events = make_plan(100, 7, label).events
        return [(e.kind, e.request.recipient if e.request else None, e.text) for e in events]

    assert shown("") == shown("x")
    assert {e.key for e in make_plan(100, 7).events}.isdisjoint(e.key for e in make_plan(100, 7, "x").events)


@pytest.mark.parametrize("kind", [Kind.REPEAT, Kind.CONFLICT])
def test_a_repeat_comes_after_what_it_repeats(kind: Kind) -> None:
    events = make_plan(500, 7).events
    for place, event in enumerate(events):
        if event.kind is kind:
            first = next(i for i, e in enumerate(events) if e.notification_id == event.notification_id)
            assert events[first].kind is Kind.NOTIFICATION
            assert first < place


def test_who_stopped_gets_asked_for_by_the_tenant_they_stopped() -> None:
    made = make_plan(500, 7)
    stopped_events = [event.request for event in made.events if event.kind is Kind.STOPPED]
    assert {Stop(r.recipient, r.sender or "") for r in stopped_events if r is not None} == set(made.stops)
    assert len(made.stops) == 15


def test_texts_are_different_so_that_fates_do_not_depend_on_order() -> None:
    texts = [
        event.text for event in make_plan(1000, 7).events if event.kind in (Kind.NOTIFICATION, Kind.STOPPED)
    ]
    assert len(texts) == len(set(texts))
