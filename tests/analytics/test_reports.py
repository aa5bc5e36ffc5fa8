"""Reports and timelines: the figures equal an obvious recomputation in Python on the same outcomes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.records import NotificationOutcome, Origin
from schemas.vocabulary import ErrorClass
from sinks.analytics.clickhouse import connect, insert
from sinks.analytics.errors import UnknownNotification, UnknownReport
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.reports import Report, report
from sinks.analytics.rows import (
    Place,
    attempt_rows,
    dead_letter_rows,
    outcome_rows,
    request_rows,
    status_rows,
)
from sinks.analytics.tables import Row
from sinks.analytics.timeline import timeline
from tests.analytics import examples
from tests.analytics.world import KEY, ClickHouse

PRIVACY = Privacy(KEY)
LONG_AGO = datetime.now(UTC) - timedelta(days=2)
STATUSES = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "rejected": "failed",
    "canceled": "failed",
    "unconfirmed": "unconfirmed",
    "held": "held",
    "suppressed": "not_sent",
    "absent": "not_sent",
    "sent": "open",
    "a-new-one": "open",
}


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(clickhouse: ClickHouse, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A database of the test's own, with all tables."""
    name = f"test_{abs(hash(request.node.name))}"
    url = f"{clickhouse.url}/{name}"
    migrate(url)
    opened = connect(url)
    yield opened
    opened.close()


def land(client: Client, rows: list[Row]) -> None:
    by_type: dict[type[Row], list[Row]] = {}
    for row in rows:
        by_type.setdefault(type(row), []).append(row)
    for number, block in enumerate(by_type.values()):
        insert(client, block, f"{number}")


def outcomes(seed: int, count: int = 400) -> list[NotificationOutcome]:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        status = chance.choice(list(STATUSES))
        bad = STATUSES[status] in ("undelivered", "failed")
        sent = examples.NOW + chance.randrange(100, 9_000) if status in ("delivered", "sent") else None
        done = sent + chance.randrange(-50, 20_000) if sent and status == "delivered" else None
        code = chance.choice([None, 21211, 30003, 30007, 99999]) if bad else None
        carrier = chance.choice([("DE", "Telekom"), ("DE", "Vodafone"), ("US", "Verizon")])
        made.append(
            examples.outcome(
                str(number),
                tenant=chance.choice(["acme", "globex"]),
                country=carrier[0],
                carrier=carrier[1],
                requested_at=examples.NOW,
                attempts=(
                    examples.attempt(
                        status=status,
                        error_code=code,
                        error_class=ErrorClass.TRANSIENT if code else None,
                        segments=chance.randrange(1, 4),
                        sent_at=sent,
                        delivered_at=done,
                    ),
                ),
            )
        )
    return made


def land_outcomes(client: Client, made: list[NotificationOutcome]) -> None:
    land(
        client,
        [row for n, o in enumerate(made) for row in outcome_rows(o, Place("outcomes", 0, n), PRIVACY)],
    )


def by_first(made: Report, width: int) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {row[:width]: dict(zip(made.columns, row, strict=True)) for row in made.rows}


def test_the_carriers_report_counts_what_counting_by_hand_counts(client: Client, seed: int) -> None:
    made = outcomes(seed)
    land_outcomes(client, made)
    figures = by_first(report(client, "carriers", LONG_AGO), 2)
    counted: dict[tuple[str, str], Counter[str]] = {}
    for one in made:
        row = counted.setdefault((one.country, one.carrier), Counter())
        row["attempts"] += 1
        row["segments"] += one.attempts[0].segments
        row[STATUSES[one.attempts[0].status]] += 1
    assert figures.keys() == counted.keys()
    for carrier, count in counted.items():
        had_the_chance = count["attempts"] - count["open"] - count["not_sent"]
        assert figures[carrier]["delivered_percent"] == round(100 * count["delivered"] / had_the_chance, 1)
        for ending in ("attempts", "segments", *STATUSES.values()):
            assert figures[carrier][ending] == count[ending], (carrier, ending)


def test_the_countries_report_adds_up_the_carriers(client: Client, seed: int) -> None:
    made = outcomes(seed)
    land_outcomes(client, made)
    figures = by_first(report(client, "countries", LONG_AGO), 1)
    assert {k[0]: v["attempts"] for k, v in figures.items()} == Counter(one.country for one in made)


def test_a_report_of_one_tenant_leaves_the_others_out(client: Client, seed: int) -> None:
    made = outcomes(seed)
    land_outcomes(client, made)
    figures = report(client, "countries", LONG_AGO, tenant="acme")
    assert sum(int(row[1] or 0) for row in figures.rows) == sum(one.tenant == "acme" for one in made)


def test_a_report_leaves_out_what_was_before_its_window(client: Client, seed: int) -> None:
    land_outcomes(client, outcomes(seed))
    assert report(client, "carriers", datetime.now(UTC) + timedelta(days=1)).rows == ()


def test_the_errors_report_counts_bad_ends_and_explains_their_codes(client: Client, seed: int) -> None:
    made = outcomes(seed)
    land_outcomes(client, made)
    figures = report(client, "errors", LONG_AGO)
    bad = [one.attempts[0] for one in made if STATUSES[one.attempts[0].status] in ("undelivered", "failed")]
    assert {row[0]: row[1] for row in figures.rows} == Counter(one.error_code or "none" for one in bad)
    rows = by_first(figures, 1)
    assert "spam" in rows[30007,]["meaning"]
    assert rows[99999,]["what_to_do"] == "https://www.twilio.com/docs/api/errors/99999"


def test_latencies_are_quantiles_of_the_single_differences_to_a_fortieth(client: Client, seed: int) -> None:
    made = outcomes(seed)
    land_outcomes(client, made)
    figures = by_first(report(client, "latency", LONG_AGO), 2)
    for (country, carrier), row in figures.items():
        ours = [one for one in made if (one.country, one.carrier) == (country, carrier)]
        to_sent = sorted(
            one.attempts[0].sent_at - one.requested_at for one in ours if one.attempts[0].sent_at is not None
        )
        to_delivered = sorted(
            max(0, a.delivered_at - a.sent_at)
            for one in ours
            for a in one.attempts
            if a.sent_at is not None and a.delivered_at is not None
        )
        for name, values in (("requested_to_sent", to_sent), ("sent_to_delivered", to_delivered)):
            assert row[f"{name}_count"] == len(values)
            for level in (50, 90, 99):
                exact = values[int(level / 100 * len(values))] / 1000
                assert row[f"{name}_p{level}_s"] == pytest.approx(exact, rel=0.026, abs=0.001)


def test_the_view_deliverability_has_every_attempt_in_exactly_one_ending(client: Client, seed: int) -> None:
    land_outcomes(client, outcomes(seed))
    (totals,) = client.query(
        """SELECT sum(attempts), sum(delivered + undelivered + failed + unconfirmed + held + not_sent + open)
        FROM deliverability"""
    ).result_rows
    assert tuple(totals) == (400, 400)


def test_a_name_that_is_no_report_is_answered_with_those_that_are(client: Client) -> None:
    with pytest.raises(UnknownReport, match="carriers, countries, errors, latency"):
        report(client, "carrier", LONG_AGO)


def test_a_timeline_tells_everything_of_one_notification_in_order(client: Client) -> None:
    now = examples.NOW
    origin = Origin(topic="notify.requested", partition=2, offset=9)
    place = Place("t", 0, 0)
    twice = examples.status("k", event_id="same", received_at=now + 3_000)
    land(
        client,
        [
            *request_rows(examples.request("k", origin=origin), place, PRIVACY),
            *outcome_rows(
                examples.outcome("k", version=1, state="sending", final=False, updated_at=now), place, PRIVACY
            ),
            *outcome_rows(examples.outcome("k", version=2), place, PRIVACY),
            *attempt_rows(examples.attempt_event("k", at=now + 100), place, PRIVACY),
            *status_rows(
                examples.status("k", event_id="s", status="sent", received_at=now + 1_000), place, PRIVACY
            ),
            *status_rows(twice, Place("t", 0, 1), PRIVACY),
            *status_rows(twice, Place("t", 0, 2), PRIVACY),
            *dead_letter_rows(
                examples.dead_letter(9, partition=2, at=now + 9_000, reason="corrupt"), place, PRIVACY
            ),
            *request_rows(examples.request("another"), place, PRIVACY),
        ],
    )
    story = timeline(client, examples.nid("k"))
    assert (story.tenant, story.state, story.final) == ("acme", "delivered", True)
    assert [(moment.kind, moment.what) for moment in story.moments] == [
        ("request", "transactional by sms"),
        ("command", "attempt 1 by sms"),
        ("outcome", "sending"),
        ("attempt", "attempt 1 accepted"),
        ("status", "attempt 1 sent"),
        ("status", "attempt 1 delivered"),
        ("outcome", "delivered"),
        ("dead letter", "streams.intake: corrupt"),
    ]
    assert dict(story.moments[5].details)["copies"] == "2"


def test_a_notification_nobody_knows_is_said_to_be_not_yet_there(client: Client) -> None:
    with pytest.raises(UnknownNotification, match=r"not \(yet\) in ClickHouse"):
        timeline(client, examples.nid("never"))


def test_the_price_of_a_message_is_the_last_one_told(client: Client) -> None:
    rows = [
        status_rows(
            examples.status("k", price=price, price_unit="USD", received_at=at), Place("t", 0, at), PRIVACY
        )
        for price, at in (("-0.01", examples.NOW), ("-0.02", examples.NOW + 1), (None, examples.NOW + 2))
    ]
    land(client, [row for made in rows for row in made])
    answer = client.query("SELECT toString(price), price_unit FROM message_prices").result_rows
    assert [tuple(row) for row in answer] == [("-0.02", "USD")]
