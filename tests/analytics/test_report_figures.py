"""Each report's figures against a plain recount of the same rows, settled and live."""

from __future__ import annotations

import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from sinks.analytics.errors import UnknownReport
from sinks.analytics.reports import ReportName
from sinks.analytics.reports.filtering import CODES, EARLIER_WEEKS, WEEK_MS
from sinks.analytics.rollups import refresh
from tests.analytics.reporting import (
    ENDINGS,
    HOUR_MS,
    START,
    Message,
    Notification,
    OptOut,
    Status,
    asked,
    database,
    dicts,
    land,
)
from tests.analytics.world import ClickHouse

STATUSES = list(ENDINGS)
CARRIERS = [("DE", "Telekom"), ("DE", "Vodafone"), ("US", "Verizon")]
SENDERS = ["+14155550100", "+14155550101", "+14155550102"]
PROVIDERS = {SENDERS[0]: "twilio", SENDERS[1]: "telnyx"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    running = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared(server: ClickHouse) -> Iterator[Client]:
    """With one notification of one tenant."""
    with database(server, "shared") as opened:
        land(opened, [Message("a", tenant="globex", status="held"), Notification("a", tenant="globex")])
        yield opened


@pytest.fixture
def client(server: ClickHouse) -> Iterator[Client]:
    with database(server, f"figures_{uuid.uuid4().hex}") as opened:
        # The first one of all only copies what was there before.
        refresh(opened, settles_ms=0)
        yield opened


def settle(client: Client) -> None:
    """Prices are given to their hours by one refresh, which touches them, and summed by the next."""
    for _ in range(2):
        refresh(client, settles_ms=0, limit=1_000)


def messages(seed: int, count: int = 200, at: int = START) -> list[Message]:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        status = chance.choice(STATUSES)
        country, carrier = chance.choice(CARRIERS)
        sent = at + chance.randrange(60_000) if status in ("delivered", "read", "sent") else None
        made.append(
            Message(
                f"m{seed}-{at}-{number}",
                tenant=chance.choice(["acme", "globex"]),
                sender=chance.choice(SENDERS),
                status=status,
                error_code=chance.choice(CODES) if ENDINGS[status] in ("undelivered", "failed") else 0,
                segments=chance.randrange(1, 4),
                country=country,
                carrier=carrier,
                requested_at=at + chance.randrange(HOUR_MS),
                sent_at=sent,
                delivered_at=sent + chance.randrange(30_000) if sent and status != "sent" else None,
            )
        )
    return made


def test_deliverability_is_by_whatever_is_asked_and_says_how_sure_it_is(client: Client, seed: int) -> None:
    made = messages(seed)
    land(client, made)
    rows = dicts(asked(client, "deliverability", by=("sender", "day")))
    assert {row["sender"] for row in rows} == {one.sender for one in made}
    for row in rows:
        ours = [one.ending for one in made if one.sender == row["sender"]]
        had_the_chance = sum(ending not in ("open", "not_sent") for ending in ours)
        assert row["attempts"] == len(ours)
        assert row["delivered_percent"] == round(100 * ours.count("delivered") / had_the_chance, 1)
        assert row["low_percent"] < row["delivered_percent"] < row["high_percent"]


def test_the_usual_deliverability_is_by_country_carrier_channel_and_sender(client: Client) -> None:
    land(client, [Message("one")])
    (row,) = dicts(asked(client, "deliverability"))
    assert (row["country"], row["carrier"], row["channel"], row["sender"]) == (
        "DE",
        "Telekom",
        "sms",
        SENDERS[0],
    )


@pytest.mark.parametrize("settled", [False, True])
def test_the_funnel_loses_nobody_between_two_stages(client: Client, seed: int, settled: bool) -> None:
    chance = random.Random(seed)
    # State, what its attempts look like, and how far it came.
    cases: list[tuple[Notification, list[Message], str]] = []
    for number in range(120):
        name = f"n{number}"
        sent = Message(name, status="undelivered", sent_at=START + 1)
        cases.append(
            chance.choice(
                [
                    (Notification(name, state="invalid", reason="bad-number"), [], "requested"),
                    (
                        Notification(name, state="suppressed", reason="opted-out"),
                        [Message(name, status="suppressed")],
                        "requested",
                    ),
                    (
                        Notification(name, state="deferred", reason="quiet-hours", final=False),
                        [Message(name, status="a-new-one")],
                        "requested",
                    ),
                    (
                        Notification(name, state="failed", reason="configuration"),
                        [Message(name, status="rejected")],
                        "admitted",
                    ),
                    (
                        Notification(name, state="failed", reason="transient"),
                        [sent, Message(name, attempt=2, status="rejected")],
                        "sent",
                    ),
                    (Notification(name, state="sent", final=False), [Message(name, status="sent")], "sent"),
                    (Notification(name, state="delivered"), [Message(name)], "delivered"),
                ]
            )
        )
    land(client, [one for one, _, _ in cases])
    land(client, [attempt for _, attempts, _ in cases for attempt in attempts])
    if settled:
        settle(client)
    rows = dicts(asked(client, "funnel"))
    stages = ["requested", "admitted", "sent", "delivered"]
    reached = {row["stage"]: row["reached"] for row in rows if not row["state"]}
    for number, stage in enumerate(stages):
        assert reached[stage] == sum(came in stages[number:] for _, _, came in cases)
    for number, stage in enumerate(stages[:-1]):
        stayed = [row for row in rows if row["stage"] == stage and row["state"]]
        gone = sum(row["lost"] + row["on_their_way"] for row in stayed)
        assert reached[stage] == reached[stages[number + 1]] + gone
        counted = Counter((one.state, one.reason or "none") for one, _, came in cases if came == stage)
        assert {(r["state"], r["reason"]): r["lost"] + r["on_their_way"] for r in stayed} == counted
        assert sum(r["on_their_way"] for r in stayed) == sum(
            not one.final for one, _, came in cases if came == stage
        )


def test_an_opt_out_answers_the_last_message_of_its_tenant_before_it(client: Client) -> None:
    spring, autumn = {"campaign": "spring"}, {"campaign": "autumn"}
    rows: list[Any] = [
        Notification("a", recipient_hash="ann", metadata=spring, requested_at=START),
        Notification("b", recipient_hash="ann", metadata=autumn, requested_at=START + 1_000),
        Notification("c", recipient_hash="ann", tenant="globex", metadata=spring, requested_at=START + 2_000),
        Notification("d", recipient_hash="bob", metadata=spring, requested_at=START),
        Notification("e", recipient_hash="cid", metadata=spring, requested_at=START),
        Notification("f", recipient_hash="dee", metadata=spring, requested_at=START),
        Notification("g", recipient_hash="eve", metadata=spring, requested_at=START, state="invalid"),
        Notification("h", recipient_hash="fay", metadata=spring, requested_at=START),
        # Answers b: it is acme's last to ann, and told twice.
        OptOut("ann", START + 5_000),
        OptOut("ann", START + 9_000),
        # Came before the message, an import, after more than a week, without a message, and an opt-in.
        OptOut("bob", START - 1),
        OptOut("cid", START + 1, source="import"),
        OptOut("dee", START + 8 * 86_400_000),
        OptOut("eve", START + 1),
        OptOut("fay", START + 1, state="opted_in"),
    ]
    land(client, rows)
    report = dicts(asked(client, "optouts"))
    assert {(row["campaign"], row["sent"], row["opt_outs"]) for row in report} == {
        ("autumn", 1, 1),
        ("spring", 6, 0),
    }
    by_tenant = dicts(asked(client, "optouts", by=("tenant",)))
    assert {(row["tenant"], row["sent"], row["opt_outs"]) for row in by_tenant} == {
        ("acme", 6, 1),
        ("globex", 1, 0),
    }
    assert [row["sent"] for row in dicts(asked(client, "optouts", tenant="globex"))] == [1]


def test_an_opt_out_of_all_tenants_answers_the_last_message_of_any(client: Client) -> None:
    land(
        client,
        [
            Notification("a", recipient_hash="ann", requested_at=START),
            Notification("b", recipient_hash="ann", tenant="globex", requested_at=START + 1),
            OptOut("ann", START + 5, tenant="*"),
        ],
    )
    found = {row["tenant"]: row["opt_outs"] for row in dicts(asked(client, "optouts", by=("tenant",)))}
    assert found == {"acme": 0, "globex": 1}


def test_an_opt_out_later_than_a_week_answers_nothing_however_long_the_window(client: Client) -> None:
    day = 24 * HOUR_MS
    land(
        client,
        [
            Notification("a", recipient_hash="ann", requested_at=START),
            Notification("b", recipient_hash="bob", requested_at=START),
            OptOut("ann", START + 7 * day),
            OptOut("bob", START + 7 * day - 1),
        ],
    )
    (row,) = dicts(asked(client, "optouts", START, START + 30 * day))
    assert (row["sent"], row["opt_outs"]) == (2, 1)


def test_costs_are_the_last_prices_told_and_the_rest_is_estimated(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    made = messages(seed)
    told: dict[str, Decimal] = {}
    statuses = []
    for one in made:
        for again in range(chance.choice([0, 1, 1, 2])):
            told[one.notification_id] = -Decimal(chance.randrange(1, 100)) / 1000
            statuses.append(Status(one.notification_id, START + again, told[one.notification_id]))
    chance.shuffle(statuses)
    # Some prices are told before their notification has landed.
    land(client, statuses[: len(statuses) // 2])
    refresh(client, settles_ms=0)
    land(client, [*made, *(Notification(one.notification_id, requested_at=one.requested_at) for one in made)])
    land(client, statuses[len(statuses) // 2 :])
    settle(client)
    for row in dicts(asked(client, "costs", by=("country",))):
        ours = [one for one in made if one.country == row["country"]]
        priced = [one for one in ours if one.notification_id in told]
        cost = -sum((told[one.notification_id] for one in priced), Decimal(0))
        unpriced = sum(
            one.segments
            for one in ours
            if one not in priced and one.ending in ("delivered", "undelivered", "unconfirmed")
        )
        estimated = cost / sum(one.segments for one in priced) * unpriced
        delivered = sum(one.ending == "delivered" for one in ours)
        assert (row["priced"], row["currency"]) == (len(priced), "USD")
        assert row["segments"] == sum(one.segments for one in ours)
        assert row["told"] == pytest.approx(float(cost), abs=1e-6)
        assert row["estimated"] == pytest.approx(float(estimated), abs=1e-5)
        assert row["cost_per_delivered"] == pytest.approx(float((cost + estimated) / delivered), abs=1e-5)


def test_costs_nobody_told_are_not_made_up(client: Client) -> None:
    land(client, [Message("one")])
    (row,) = dicts(asked(client, "costs"))
    assert (row["told"], row["estimated"], row["cost"], row["cost_per_delivered"]) == (0, None, None, None)


def failing(at: int, failures: int, count: int, code: int = 30007, carrier: str = "Telekom") -> list[Message]:
    return [
        Message(
            f"{carrier}-{code}-{at}-{number}",
            status="undelivered" if number < failures else "delivered",
            error_code=code if number < failures else 0,
            carrier=carrier,
            requested_at=at + number,
        )
        for number in range(count)
    ]


def test_filtering_that_rises_against_the_same_hours_of_earlier_weeks_is_said_to(client: Client) -> None:
    rows = (
        failing(START, 30, 100)
        + failing(START, 6, 100, carrier="Vodafone")
        + failing(START, 3, 9, 30005, "O2")
    )
    for week in range(1, EARLIER_WEEKS + 1):
        rows += failing(START - week * WEEK_MS, 3, 100) + failing(
            START - week * WEEK_MS, 6, 100, carrier="Vodafone"
        )
        # Not the same hours.
        rows += failing(START - week * WEEK_MS - 2 * HOUR_MS, 100, 100)
    land(client, rows)
    found = {(row["carrier"], row["error"]): row for row in dicts(asked(client, "filtering"))}
    telekom = found["Telekom", 30007]
    assert (telekom["verdict"], telekom["failures"], telekom["attempts"]) == ("rise", 30, 100)
    assert (telekom["earlier_failures"], telekom["earlier_attempts"], telekom["earlier_weeks"]) == (
        12,
        400,
        4,
    )
    assert (telekom["percent"], telekom["earlier_percent"]) == (30.0, 3.0)
    assert found["Vodafone", 30007]["verdict"] == "as usual"
    assert found["O2", 30005]["verdict"] == "too few"


def test_a_failure_without_earlier_weeks_has_nothing_to_be_compared_with(client: Client) -> None:
    land(client, failing(START, 30, 100))
    (row,) = dicts(asked(client, "filtering"))
    assert (row["verdict"], row["earlier_percent"], row["earlier_weeks"]) == (
        "nothing to compare with",
        None,
        0,
    )


@pytest.mark.parametrize("settled", [False, True])
def test_providers_are_those_of_the_senders_statuses(client: Client, seed: int, settled: bool) -> None:
    made = messages(seed)
    land(client, made)
    land(client, [Status("x", START, sender=sender, provider=name) for sender, name in PROVIDERS.items()])
    if settled:
        settle(client)
    counted: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for one in made:
        counted[one.country, PROVIDERS.get(one.sender, "unknown")].append(one)
    rows = {(row["country"], row["provider"]): row for row in dicts(asked(client, "providers"))}
    assert rows.keys() == counted.keys()
    for group, ours in counted.items():
        endings = [one.ending for one in ours]
        had_the_chance = len(ours) - endings.count("open") - endings.count("not_sent")
        spans = sorted(one.delivered_at - one.sent_at for one in ours if one.delivered_at and one.sent_at)
        assert rows[group]["attempts"] == len(ours)
        delivered = endings.count("delivered")
        assert rows[group]["delivered_percent"] == (
            round(100 * delivered / had_the_chance, 1) if had_the_chance else None
        )
        assert rows[group]["sent_to_delivered_p50_s"] == (
            pytest.approx(spans[len(spans) // 2] / 1000, rel=0.026, abs=0.001) if spans else None
        )


def test_what_has_no_last_word_is_told_by_its_age(client: Client) -> None:
    now = START + 100 * HOUR_MS
    ages = {
        0: "under 1 h",
        1: "1 to 6 h",
        5: "1 to 6 h",
        6: "6 to 24 h",
        24: "1 to 3 days",
        72: "over 3 days",
    }
    made = [
        Message(f"{hours}-{status}", status=status, requested_at=now - hours * HOUR_MS)
        for hours in ages
        for status in ("sent", "unconfirmed", "held", "delivered", "failed")
    ]
    land(client, made)
    report = dicts(asked(client, "unconfirmed", START, now + HOUR_MS, now))
    expected = Counter(ages.values())
    assert {row["age"]: row["open"] for row in report} == expected
    assert {row["age"]: row["held"] for row in report} == expected
    assert {row["age"]: row["attempts"] for row in report} == {age: 3 * n for age, n in expected.items()}


def test_errors_may_be_by_tenant_too(client: Client, seed: int) -> None:
    made = messages(seed)
    land(client, made)
    bad = Counter(
        (one.tenant, one.error_code) for one in made if ENDINGS[one.status] in ("undelivered", "failed")
    )
    rows = dicts(asked(client, "errors", by=("tenant",)))
    assert {(row["tenant"], row["error"]): row["messages"] for row in rows} == bad


@pytest.mark.parametrize("name", list(ReportName))
def test_of_one_tenant_every_report_leaves_the_others_out(shared: Client, name: ReportName) -> None:
    mine = [row for row in asked(shared, name, tenant="acme").rows if any(row)]
    assert mine == []


@pytest.mark.parametrize(
    "name", ["deliverability", "errors", "latency", "funnel", "costs", "filtering", "optouts"]
)
def test_what_a_report_cannot_be_by_is_answered_with_what_it_can_be_by(shared: Client, name: str) -> None:
    with pytest.raises(UnknownReport, match=r"can be by: .*tenant"):
        asked(shared, name, by=("recipient",))
