"""The sink between real servers: what lands, what does not, and what an absence costs."""

from __future__ import annotations

import pytest

from schemas.clients import Config, Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import Topic
from sinks.analytics import landing
from sinks.analytics.clickhouse import insert_block
from sinks.analytics.errors import RowsRefused
from tests.analytics import examples
from tests.analytics.world import WAIT_S, World, sinking
from tests.waiting import wait_until


def test_a_record_of_every_topic_lands_in_its_tables(around: World) -> None:
    around.write(Topic.STATUS, examples.status())
    around.write(Topic.ATTEMPTS, examples.attempt_event())
    around.write(Topic.REQUESTS, examples.request())
    around.write(Topic.INBOUND, examples.inbound())
    around.write(Topic.CONSENT_CHANGES, examples.consent())
    around.write(Topic.DEAD_LETTERS, examples.dead_letter())
    around.write(Topic.OUTCOMES, examples.outcome())
    with sinking(around.config()):
        for table in ("status_events", "attempts", "requests", "inbound", "consent_changes", "dead_letters"):
            around.wait_for_rows(table, 1)
        for table in ("messages", "notifications", "outcome_history"):
            around.wait_for_rows(table, 1)


def test_an_unreadable_record_ends_as_a_dead_letter_and_the_next_one_lands(around: World) -> None:
    around.write(Topic.STATUS, examples.status("a"), b"not avro", examples.status("b"))
    with sinking(around.config()):
        around.wait_for_rows("status_events", 2)
        around.wait_for_rows("dead_letters", 1)
    ((_, value),) = around.read(Topic.DEAD_LETTERS)
    letter = around.codec.decode(value, DeadLetter)
    assert (letter.stage, letter.reason, letter.topic, letter.value) == (
        "sinks.analytics",
        "not-avro",
        "twilio.status",
        b"not avro",
    )


def test_a_record_with_an_impossible_time_ends_as_a_dead_letter(around: World) -> None:
    around.write(Topic.STATUS, examples.status("a", received_at=1_700_000_000), examples.status("b"))
    with sinking(around.config()):
        around.wait_for_rows("status_events", 1)
        around.wait_for_rows("dead_letters", 1)
    assert around.clickhouse.query("SELECT reason FROM dead_letters") == [("impossible-time",)]


def test_an_unreadable_dead_letter_is_passed_and_makes_no_other(around: World) -> None:
    around.write(Topic.DEAD_LETTERS, b"not avro", examples.dead_letter())
    with sinking(around.config()):
        around.wait_for_rows("dead_letters", 1)
        wait_until(lambda: around.committed(Topic.DEAD_LETTERS) == 2, WAIT_S, "both to be committed")
    assert len(around.read(Topic.DEAD_LETTERS)) == 2


def test_a_row_clickhouse_refuses_is_found_among_its_neighbours(
    around: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    around.write(Topic.STATUS, *(examples.status(str(number)) for number in range(50)))
    poison = examples.status("13").message_sid

    def refusing(client, statement, block, token):  # type: ignore[no-untyped-def]
        # No value that Avro allows is refused by these tables: the refusal is made here, the rest is real.
        if poison.encode() in block:
            raise RowsRefused("Code: 27. cannot parse input")
        insert_block(client, statement, block, token)

    monkeypatch.setattr(landing, "insert_block", refusing)
    with sinking(around.config()):
        around.wait_for_rows("status_events", 49)
        around.wait_for_rows("dead_letters", 1)
    assert around.clickhouse.query("SELECT reason FROM dead_letters") == [("insert-refused",)]


def test_a_batch_read_again_changes_nothing(around: World) -> None:
    around.write(Topic.STATUS, *(examples.status(str(number)) for number in range(100)))
    around.write(Topic.OUTCOMES, *(examples.outcome(str(number)) for number in range(20)))
    everything = "SELECT * FROM status_events FINAL ORDER BY ALL", "SELECT * FROM messages FINAL ORDER BY ALL"
    with sinking(around.config()):
        around.wait_for_rows("status_events", 100)
        around.wait_for_rows("messages", 20)
    before = [around.clickhouse.query(query) for query in everything]
    # Another group reads it all from the start, and in batches of another size: other tokens, same rows.
    with sinking(around.config(group="again", batch_rows=7)):
        wait_until(lambda: around.committed(Topic.STATUS, "again") == 100, WAIT_S, "all to be read again")
        wait_until(lambda: around.committed(Topic.OUTCOMES, "again") == 20, WAIT_S, "all to be read again")
    assert [around.clickhouse.query(query) for query in everything] == before


def test_an_outcome_of_a_lower_version_never_overwrites(around: World) -> None:
    first = examples.outcome(version=3, attempts=(examples.attempt(status="delivered"),))
    late = examples.outcome(version=2, state="sent", final=False, attempts=(examples.attempt(status="sent"),))
    with sinking(around.config()):
        around.write(Topic.OUTCOMES, first)
        around.wait_for_rows("messages", 1)
        around.write(Topic.OUTCOMES, late)
        around.wait_for_rows("outcome_history", 2)
    assert around.clickhouse.query("SELECT status, version FROM messages FINAL") == [("delivered", 3)]
    assert around.clickhouse.query("SELECT state, version FROM notifications FINAL") == [("delivered", 3)]


def test_clickhouse_away_costs_lag_and_nothing_else(around: World) -> None:
    with sinking(around.config()):
        around.write(Topic.STATUS, *(examples.status(str(number)) for number in range(10)))
        around.wait_for_rows("status_events", 10)
        around.clickhouse.stop()
        around.write(Topic.STATUS, *(examples.status(str(number)) for number in range(10, 200)))
        waits = _waits("clickhouse")
        wait_until(lambda: _waits("clickhouse") >= waits + 3, WAIT_S, "the sink to have tried three times")
        assert around.committed(Topic.STATUS) == 10
        around.clickhouse.start()
        around.wait_for_rows("status_events", 200)
        wait_until(lambda: around.committed(Topic.STATUS) == 200, WAIT_S, "all to be committed")
    assert around.read(Topic.DEAD_LETTERS) == []


def test_a_registry_away_is_waited_for_and_no_dead_letter(
    around: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schemas.errors import RegistryUnavailable

    real, refusals = Codec.decode, [RegistryUnavailable("away"), RegistryUnavailable("still away")]

    def decode(self, value, record_type):  # type: ignore[no-untyped-def]
        if refusals:
            raise refusals.pop()
        return real(self, value, record_type)

    monkeypatch.setattr(Codec, "decode", decode)
    around.write(Topic.STATUS, examples.status("a"), examples.status("b"))
    with sinking(around.config()):
        around.wait_for_rows("status_events", 2)
    assert around.read(Topic.DEAD_LETTERS) == []


def test_two_sinks_share_the_work_and_a_leaving_one_loses_nothing(around: World) -> None:
    kafka = _SoonBalanced(bootstrap_servers=around.kafka.bootstrap_servers)
    with sinking(around.config(batch_rows=5, kafka=kafka)):
        around.write(Topic.STATUS, *(examples.status(str(n)) for n in range(100)), key="a")
        with sinking(around.config(batch_rows=5, kafka=kafka)):
            for number in range(100, 200):
                around.write(Topic.STATUS, examples.status(str(number)), key=str(number))
        around.write(Topic.STATUS, *(examples.status(str(n)) for n in range(200, 300)), key="b")
        around.wait_for_rows("status_events", 300)
        wait_until(lambda: around.committed(Topic.STATUS) == 300, WAIT_S, "all to be committed")


class _SoonBalanced(Kafka, frozen=True, kw_only=True):
    """The embedded broker makes a rebalance last as long as a session, less a second: 9 s by our settings."""

    def consumer(self, client_id: str, group: str) -> Config:
        return super().consumer(client_id, group) | {
            "session.timeout.ms": 4_000,
            "heartbeat.interval.ms": 500,
        }


def _waits(what: str) -> float:
    from sinks.analytics.metrics import WAITS

    return float(WAITS.labels(what)._value.get())
