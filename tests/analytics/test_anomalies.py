"""Each kind of anomaly: found with its evidence, and not found where there is nothing to see."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from sinks.analytics.privacy import Privacy
from sinks.analytics.reports.anomalies import STUCK_AFTER_H
from sinks.analytics.reports.filtering import EARLIER_WEEKS, WEEK_MS
from sinks.analytics.rows import Place, dead_letter_rows
from tests.analytics import examples
from tests.analytics.by_hand import put
from tests.analytics.reporting import HOUR_MS, START, Message, Status, asked, database, dicts, land
from tests.analytics.world import KEY, ClickHouse

KINDS = {"more of an error", "fewer delivered", "stuck", "held", "not ours", "dead letters"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    running = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: ClickHouse) -> Iterator[Client]:
    with database(server, f"anomalies_{uuid.uuid4().hex}") as opened:
        yield opened


def found(client: Client, kind: str, **question: Any) -> list[dict[str, Any]]:
    """The anomalies of a kind."""
    assert kind in KINDS
    return [row for row in dicts(asked(client, "anomalies", **question)) if row["kind"] == kind]


def attempts(at: int, failures: int, count: int = 100, code: int = 30007) -> list[Message]:
    return [
        Message(
            f"{code}-{at}-{number}",
            status="undelivered" if number < failures else "delivered",
            error_code=code if number < failures else 0,
            requested_at=at + number,
        )
        for number in range(count)
    ]


def weeks(now: int, earlier: int, count: int = 100, code: int = 30007) -> list[Message]:
    """So many failures this week, and so many in the same hour of each of the weeks before."""
    before = (attempts(START - week * WEEK_MS, earlier, count, code) for week in range(1, EARLIER_WEEKS + 1))
    return attempts(START, now, count, code) + [one for week in before for one in week]


def give_up(client: Client, *letters: dict[str, Any]) -> None:
    for offset, changes in enumerate(letters):
        letter = examples.dead_letter(**({"offset": offset, "at": START + offset} | changes))
        put(client, dead_letter_rows(letter, Place("dead.letters", 0, offset), Privacy(KEY)))


def test_an_error_that_rises_is_found_with_both_shares_and_what_to_do(client: Client) -> None:
    land(client, weeks(now=60, earlier=3))
    (row,) = found(client, "more of an error")
    assert (row["where"], row["count"]) == ("DE Telekom: 30007", 60)
    assert row["evidence"].startswith("60 of 100 failed (60.0 %, ")
    assert "in the same hours of earlier weeks 12 of 400 (3.0 %, " in row["evidence"]
    assert "spam" in row["look_at"]


@pytest.mark.parametrize(
    ("now", "earlier", "count"), [(4, 3, 100), (4, 0, 5)], ids=["as usual", "too few to say"]
)
def test_an_error_that_does_not_rise_is_none(client: Client, now: int, earlier: int, count: int) -> None:
    land(client, weeks(now, earlier, count))
    assert asked(client, "anomalies").rows == ()


def test_an_error_without_earlier_weeks_to_compare_with_is_none(client: Client) -> None:
    land(client, attempts(START, 60))
    assert asked(client, "anomalies").rows == ()


def test_a_carrier_that_delivers_less_is_found_also_when_no_error_is_told(client: Client) -> None:
    land(client, weeks(now=40, earlier=2, code=0))
    (row,) = asked(client, "anomalies").rows
    assert row[:3] == ("fewer delivered", "DE Telekom", 40)
    assert str(row[3]).startswith("40 of 100 failed")
    assert "8 of 400" in str(row[3])


def test_a_carrier_that_delivers_as_it_did_is_none(client: Client) -> None:
    land(client, weeks(now=20, earlier=20, code=0))
    assert found(client, "fewer delivered") == []


def stuck(client: Client, hours: int) -> list[dict[str, Any]]:
    return found(client, "stuck", now=START + hours * HOUR_MS)


def test_what_is_open_for_days_is_found_by_tenant_and_channel(client: Client) -> None:
    land(client, [Message(f"m{number}", status="sent", requested_at=START + number) for number in range(3)])
    (row,) = stuck(client, STUCK_AFTER_H + 1)
    assert (row["where"], row["count"]) == ("acme sms", 3)
    assert f"{STUCK_AFTER_H} h" in row["evidence"]


def test_what_is_open_for_hours_is_not_stuck_and_what_ended_never_is(client: Client) -> None:
    land(client, [Message("open", status="sent"), Message("ended"), Message("lost", status="unconfirmed")])
    assert stuck(client, STUCK_AFTER_H) == []
    (row,) = stuck(client, STUCK_AFTER_H + 1)
    assert row["count"] == 1


def test_what_is_held_is_found_by_tenant_and_sender(client: Client) -> None:
    land(client, [Message("a", status="held"), Message("b", status="held"), Message("c")])
    (row,) = found(client, "held")
    assert (row["where"], row["count"]) == ("acme +14155550100", 2)
    assert "nothing proves what became of it" in row["evidence"]


def test_nothing_held_is_none(client: Client) -> None:
    land(client, [Message("c"), Message("d", status="unconfirmed")])
    assert found(client, "held") == []


def test_statuses_of_messages_nobody_here_sent_are_found_by_account_with_an_example(client: Client) -> None:
    strangers = [Status("", START + at, account_sid="ACother", message_sid=f"SM{at % 2}") for at in range(5)]
    land(client, strangers)
    (row,) = found(client, "not ours")
    assert (row["where"], row["count"]) == ("ACother +14155550100", 2)
    assert row["evidence"].startswith("5 statuses of 2 messages")
    assert row["evidence"].endswith("such as SM0")


def test_statuses_of_our_own_messages_or_outside_the_window_are_none(client: Client) -> None:
    land(client, [Status("ours", START), Status("", START - 1), Status("", START + HOUR_MS)])
    assert found(client, "not ours") == []


def test_records_given_up_are_found_by_topic_stage_and_reason_without_what_was_in_them(
    client: Client,
) -> None:
    mine = {"stage": "sinks.analytics", "topic": "twilio.status"}
    give_up(client, {"reason": "corrupt"}, {"reason": "corrupt"}, {"reason": "not-avro"}, mine)
    rows = found(client, "dead letters")
    assert {(row["where"], row["evidence"].partition(":")[0], row["count"]) for row in rows} == {
        ("notify.requested, given up by streams.intake", "corrupt", 2),
        ("notify.requested, given up by streams.intake", "not-avro", 1),
        ("twilio.status, given up by sinks.analytics", "not-avro", 1),
    }
    assert {row["look_at"] for row in rows} == {"notifystream deadletters list"}
    assert not any(examples.RECIPIENT in str(row) or examples.BODY in str(row) for row in rows)
    assert all("a value with # in it" in row["evidence"] for row in rows)


def test_a_record_that_was_given_up_twice_is_one(client: Client) -> None:
    give_up(client, {"offset": 7}, {"offset": 7})
    (row,) = found(client, "dead letters")
    assert row["count"] == 1


def test_records_given_up_outside_the_window_are_none(client: Client) -> None:
    give_up(client, {"at": START - 1}, {"at": START + HOUR_MS})
    assert found(client, "dead letters") == []


def everything() -> Iterable[Any]:
    yield from weeks(now=60, earlier=3)
    yield Message("held", status="held")
    yield Message("old", status="sent")
    yield Status("", START)


def test_of_one_tenant_what_names_no_tenant_is_left_out(client: Client) -> None:
    land(client, everything())
    give_up(client, {})
    late = START + (STUCK_AFTER_H + 1) * HOUR_MS
    assert {row["kind"] for row in dicts(asked(client, "anomalies", now=late))} == KINDS
    mine = {row["kind"] for row in dicts(asked(client, "anomalies", now=late, tenant="acme"))}
    assert mine == KINDS - {"not ours", "dead letters"}


def test_nothing_out_of_the_ordinary_is_an_empty_report(client: Client) -> None:
    land(client, [Message("one")])
    assert asked(client, "anomalies").rows == ()
