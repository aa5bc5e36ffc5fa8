"""One small day, and what each report must say of it, both written down by hand.

Five notifications: one delivered, whose reader then says STOP; one throttled, tried again and filtered; one
by WhatsApp of which nothing more is heard; one to a person who had said STOP; one to no number. And a
repeat, a conflict and an event nobody can read.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.carrier.ledger import (
    CallbackAttempt,
    Connection,
    Handset,
    Ledger,
    OptOut,
    SeenRequest,
    SimMessage,
)
from sandbox.demo.plan import Kind, Plan, Planned
from sandbox.demo.reckoning import Bill, Evidence
from schemas.records import NotifyRequest
from sinks.analytics.reports import Report, ReportName, Value

NOON = 472_222 * 3_600_000
NOW = NOON + 600_000
ACME, GLOBEX = "+14155550110", "+14155550120"
READER, FILTERED, SILENT, STOPPED = "+447300000001", "+12122345678", "+447300000002", "+447300000003"


def planned(key: str, person: str, category: str, kind: Kind = Kind.NOTIFICATION, **more: Any) -> Planned:
    sender = GLOBEX if person == FILTERED else ACME
    asked: dict[str, Any] = {
        "tenant": "globex" if person == FILTERED else "acme",
        "idempotency_key": key,
        "recipient": person,
        "channels": ("sms",),
        "body": "Hello",
        "category": category,
        "sender": sender,
        "metadata": {"campaign": f"demo-{category}"},
    }
    return Planned(kind, key, NotifyRequest(**(asked | more)), "Hello")


DELIVERED_ONE = planned("k1", READER, "marketing")
FILTERED_ONE = planned("k2", FILTERED, "otp")
SILENT_ONE = planned("k3", SILENT, "transactional", channels=("whatsapp",))
STOPPED_ONE = planned("k4", STOPPED, "otp", Kind.STOPPED)
PLAN = Plan(
    7,
    (),
    (
        DELIVERED_ONE,
        FILTERED_ONE,
        SILENT_ONE,
        STOPPED_ONE,
        planned("k5", "not-a-number", "otp", Kind.IMPOSSIBLE),
        planned("k1", READER, "marketing", Kind.REPEAT),
        planned("k1", READER, "marketing", Kind.CONFLICT, body="Something else"),
        Planned(Kind.UNREADABLE, "k6", value=b"?"),
    ),
    {ACME: "acme", GLOBEX: "globex"},
)


def callback_url(of: Planned, attempt: int) -> str:
    return f"http://127.0.0.1:1/twilio/status?n={of.notification_id}&a={attempt}#rc=5"


def created(of: Planned, attempt: int, at: int, sid: str | None, prefix: str = "") -> SeenRequest:
    assert of.request is not None
    return SeenRequest(
        at_ms=NOON + at,
        to=prefix + of.request.recipient,
        sender=prefix + (of.request.sender or ""),
        body_sha256="",
        content_sid=None,
        status_callback=callback_url(of, attempt),
        ordinal=attempt,
        sid=sid,
        connection=Connection.ANSWERED,
        http_status=201 if sid else 429,
        error_code=None if sid else 20429,
        behaviour="created" if sid else "throttled",
    )


def message(
    of: Planned, attempt: int, sid: str, at: int, final: str, code: int | None, where: tuple[str, str]
) -> SimMessage:
    assert of.request is not None
    return SimMessage(
        sid=sid,
        to=of.request.recipient,
        sender=of.request.sender,
        service=None,
        country=where[0],
        carrier=where[1],
        body_sha256="",
        status_callback=callback_url(of, attempt),
        created_ms=NOON + at,
        status=final,
        error_code=code,
        final_status=final,
        final_error_code=code,
        reached=final == "delivered",
        callbacks_pending=0,
        done=True,
    )


def posted(sid: str, status: str, at: int, http_status: int | None = 204) -> CallbackAttempt:
    return CallbackAttempt(
        sid=sid,
        status=status,
        token=f"{sid}-{status}",
        attempt=1,
        at_ms=NOON + at,
        url="",
        http_status=http_status,
        failure=None,
    )


def stop(person: str, at: int) -> OptOut:
    return OptOut(recipient=person, sender=ACME, at_ms=NOON + at, keyword="STOP", opted_out=True)


LEDGER = Ledger(
    seed=7,
    requests=(
        created(DELIVERED_ONE, 1, 100, "SM1"),
        created(FILTERED_ONE, 1, 150, None),
        created(FILTERED_ONE, 2, 2_000, "SM2"),
        created(SILENT_ONE, 1, 100, "SM3", prefix="whatsapp:"),
    ),
    messages=(
        message(DELIVERED_ONE, 1, "SM1", 100, "delivered", None, ("GB", "EE")),
        message(FILTERED_ONE, 2, "SM2", 2_000, "undelivered", 30007, ("US", "Verizon")),
        message(SILENT_ONE, 1, "SM3", 100, "sent", None, ("GB", "EE")),
    ),
    handsets=(Handset(sid="SM1", to=READER, at_ms=NOON + 650),),
    opt_outs=(stop(STOPPED, -5_000), stop(READER, 10_000)),
    callbacks=(
        posted("SM3", "sent", 300),
        posted("SM1", "sent", 400),
        posted("SM1", "delivered", 700),
        posted("SM2", "sent", 2_400),
        posted("SM2", "undelivered", 2_600),
    ),
    inbound=(),
)
ANSWERED = {
    "SM3-sent": 350,
    "SM1-sent": 500,
    "SM1-delivered": 900,
    "SM2-sent": 2_500,
    "SM2-undelivered": 2_700,
}


def evidence(ledger: Ledger = LEDGER, *, looked_up: bool = False) -> Evidence:
    return Evidence(
        plan=PLAN,
        ledger=ledger,
        requested_at={
            planned.notification_id: NOON
            for planned in PLAN.events
            if planned.notification_id is not None and planned.kind is not Kind.CONFLICT
        },
        answered_by={(token, 1): NOON + at for token, at in ANSWERED.items()},
        bills={sid: Bill(1, Decimal("-0.0079"), "USD") for sid in ("SM1", "SM2", "SM3", "SM4")},
        quiet_ms=5_000,
        looked_up=looked_up,
    )


def table(columns: str, *rows: tuple[Value, ...]) -> Report:
    return Report("", tuple(columns.split()), rows)


_ENDINGS = "attempts delivered undelivered failed unconfirmed held not_sent open"
_SHARES = "delivered_percent low_percent high_percent"
_ALL, _NONE_OF_ONE, _NONE_OF_TWO, _HALF = (
    (100.0, 20.7, 100.0),
    (0.0, 0.0, 79.3),
    (0.0, 0.0, 65.8),
    (50.0, 9.5, 90.5),
)

REPORTS: dict[ReportName, Report] = {
    ReportName.DELIVERABILITY: table(
        f"country carrier channel sender {_ENDINGS} segments {_SHARES}",
        ("GB", "EE", "sms", ACME, 2, 1, 0, 0, 0, 0, 1, 0, 2, *_ALL),
        ("GB", "EE", "whatsapp", ACME, 1, 0, 0, 0, 1, 0, 0, 0, 1, *_NONE_OF_ONE),
        ("US", "unknown", "sms", GLOBEX, 2, 0, 1, 1, 0, 0, 0, 0, 2, *_NONE_OF_TWO),
    ),
    ReportName.CARRIERS: table(
        f"country carrier carrier_source {_ENDINGS} segments {_SHARES}",
        ("GB", "EE", "prefix", 3, 1, 0, 0, 1, 0, 1, 0, 3, *_HALF),
        ("US", "unknown", "unknown", 2, 0, 1, 1, 0, 0, 0, 0, 2, *_NONE_OF_TWO),
    ),
    ReportName.COUNTRIES: table(
        f"country {_ENDINGS} segments {_SHARES}",
        ("GB", 3, 1, 0, 0, 1, 0, 1, 0, 3, *_HALF),
        ("US", 2, 0, 1, 1, 0, 0, 0, 0, 2, *_NONE_OF_TWO),
    ),
    ReportName.ERRORS: table(
        "error messages percent class meaning what_to_do most_at",
        (20429, 1, 50.0, "rate", "too many calls", "wait", "US unknown"),
        (30007, 1, 50.0, "filtered", "filtered", "rewrite", "US unknown"),
    ),
    ReportName.LATENCY: table(
        "country carrier requested_to_sent_count requested_to_sent_p50_s requested_to_sent_p90_s "
        "requested_to_sent_p99_s sent_to_delivered_count sent_to_delivered_p50_s sent_to_delivered_p90_s "
        "sent_to_delivered_p99_s",
        ("GB", "EE", 2, 0.45, 0.45, 0.45, 1, 0.3, 0.3, 0.3),
        ("US", "unknown", 1, 2.45, 2.45, 2.45, 0, None, None, None),
    ),
    ReportName.FUNNEL: table(
        "stage state reason reached percent lost on_their_way",
        ("requested", "", "", 6, 100.0, 0, 0),
        ("requested", "conflict", "other-content", 0, 16.7, 1, 0),
        ("requested", "invalid", "invalid-number", 0, 16.7, 1, 0),
        ("requested", "suppressed", "opted-out", 0, 16.7, 1, 0),
        ("admitted", "", "", 3, 50.0, 0, 0),
        ("sent", "", "", 3, 50.0, 0, 0),
        ("sent", "unconfirmed", "no-report", 0, 16.7, 1, 0),
        ("sent", "undelivered", "filtered", 0, 16.7, 1, 0),
        ("delivered", "", "", 1, 16.7, 0, 0),
    ),
    ReportName.OPTOUTS: table(
        "campaign category sent opt_outs opt_out_percent low_percent high_percent",
        ("demo-marketing", "marketing", 1, 1, *_ALL),
        ("demo-otp", "otp", 1, 0, *_NONE_OF_ONE),
        ("demo-transactional", "transactional", 1, 0, *_NONE_OF_ONE),
    ),
    ReportName.COSTS: table(
        "country channel attempts delivered segments priced currency told estimated cost cost_per_delivered",
        ("GB", "sms", 2, 1, 2, 1, "USD", 0.0079, 0.0, 0.0079, 0.0079),
        ("GB", "whatsapp", 1, 0, 1, 1, "USD", 0.0079, 0.0, 0.0079, None),
        ("US", "sms", 2, 0, 2, 1, "USD", 0.0079, 0.0, 0.0079, None),
    ),
    ReportName.FILTERING: table(
        "country carrier error meaning verdict failures attempts percent low_percent high_percent "
        "earlier_failures earlier_attempts earlier_percent earlier_weeks",
        ("US", "unknown", 30007, "filtered", "too few", 1, 2, *_HALF, 0, 0, None, 0),
    ),
    ReportName.PROVIDERS: table(
        f"country provider {_ENDINGS} {_SHARES} sent_to_delivered_p50_s sent_to_delivered_p90_s "
        "cost_per_segment",
        ("GB", "twilio", 3, 1, 0, 0, 1, 0, 1, 0, *_HALF, 0.3, 0.3, "0.007900 USD"),
        ("US", "twilio", 2, 0, 1, 1, 0, 0, 0, 0, *_NONE_OF_TWO, None, None, "0.007900 USD"),
    ),
    ReportName.ANOMALIES: table(
        "kind where count evidence look_at",
        (
            "dead letters",
            "notify.requested, given up by intake",
            1,
            "no schema",
            "notifystream deadletters list",
        ),
    ),
    ReportName.UNCONFIRMED: table("age open unconfirmed held attempts", ("under 1 h", 0, 1, 0, 1)),
}
