"""Erasing one recipient: nothing of the person is left, everybody else stays, and it may be repeated."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from notifystream.cli import main
from schemas.topics import Topic, load_topics
from sinks.analytics import erasure as erasing
from sinks.analytics.clickhouse import connect
from sinks.analytics.erasure import ErasureIncomplete, NotANumber, aging_out, erase, hashes_of, number_of
from sinks.analytics.migrate import migrate
from sinks.analytics.personal_rows import Pass
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import (
    Place,
    attempt_rows,
    consent_rows,
    dead_letter_rows,
    inbound_rows,
    outcome_rows,
    request_rows,
    status_rows,
)
from sinks.carriers.lines import Line, Observation, Seen, attributed
from sinks.carriers.store import Store
from tests.analytics import examples
from tests.analytics.by_hand import put
from tests.analytics.world import ClickHouse

KEY, OLD_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
PRIVACY, OLD = Privacy(KEY.encode()), Privacy(OLD_KEY.encode())
_people = itertools.count(10_000_000)


class Someone(NamedTuple):
    """A person no other test knows; `key` is the idempotency key of the one notification."""

    number: str
    key: str

    @property
    def hash(self) -> str:
        return PRIVACY.recipient_hash(self.number)

    @property
    def traces(self) -> tuple[str, ...]:
        """What may be nowhere afterwards."""
        return self.hash, OLD.recipient_hash(self.number), self.number, examples.nid(self.key)


def anybody() -> Someone:
    number = next(_people)
    return Someone(f"+49151{number}", f"key-{number}")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    clickhouse = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    clickhouse.start()
    migrate(clickhouse.url)
    yield clickhouse.url
    clickhouse.stop()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    connected = connect(url)
    yield connected
    connected.close()


@pytest.fixture
def someone() -> Someone:
    return anybody()


def land(client: Any, person: Someone) -> None:
    """A row in every table of the sink that has rows of people."""
    number, key = person
    place = int(number[-6:])
    put(
        client,
        [
            *status_rows(examples.status(key, recipient=number), Place("s", 0, place), PRIVACY),
            # A callback whose To was cut away: only its notification says whose it is.
            *status_rows(examples.status(key, recipient=None, event_id="cut"), Place("s", 1, place), PRIVACY),
            *attempt_rows(examples.attempt_event(key), Place("a", 0, place), PRIVACY),
            *request_rows(examples.request(key, recipient=number), Place("r", 0, place), PRIVACY),
            *inbound_rows(examples.inbound(key, recipient=number), Place("i", 0, place), PRIVACY),
            *consent_rows(examples.consent(key, recipient=number), Place("c", 0, place), PRIVACY),
            *dead_letter_rows(
                examples.dead_letter(place, key=examples.nid(key).encode()), Place("d", 0, place), PRIVACY
            ),
            *outcome_rows(examples.outcome(key, recipient=number), Place("o", 0, place), PRIVACY),
        ],
    )


def keep_beyond(url: str, person: Someone) -> None:
    """What the carriers process keeps."""
    number, key = person
    store = Store(url)
    hashed = PRIVACY.recipient_hash(number)
    line = Line("Telekom", "262", "01", "mobile", "DE", 0)
    store.keep_observations([Observation(hashed, examples.NOW, examples.NOW, line)])
    seen = Seen.of(examples.request(key, recipient=number), examples.NOW)
    store.keep_numbers([seen], {number: hashed})
    store.keep_attributions(attributed([seen], {number: hashed}, store.history([hashed])))
    store.link({OLD.recipient_hash(number): hashed}, examples.NOW)
    store.close()


def everything(client: Any) -> str:
    """All rows of all tables, as text."""
    tables = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    return "\n".join(
        f"{name} {row}"
        for (name,) in tables
        for row in client.query(f"SELECT * FROM `{name}`").result_rows  # noqa: S608
    )


def test_nothing_of_the_person_is_left_in_any_table_and_others_stay(
    url: str, client: Any, someone: Someone
) -> None:
    other = anybody()
    for person in (someone, other):
        land(client, person)
        keep_beyond(url, person)
    done = erase(client, [someone.hash])
    left = everything(client)
    assert [trace for trace in someone.traces if trace in left] == []
    assert all(trace in left for trace in other.traces)
    assert {table.table for table in done.tables if table.found} >= {
        "status_events", "attempts", "requests", "inbound", "consent_changes", "dead_letters", "messages",
        "notifications", "outcome_history", "recipient_carriers", "recipient_numbers", "recipient_links",
        "notification_carriers", "messages_by_hour", "notifications_by_hour", "sends_by_person",
    }  # fmt: skip
    assert {table.left for table in done.tables} == {0}

    kept = erase(client, [other.hash], dry_run=True)
    assert {table.table: table.found for table in kept.tables} == {
        table.table: table.found for table in done.tables
    }


def test_a_second_erasure_finds_nothing(client: Any, someone: Someone) -> None:
    land(client, someone)
    assert erase(client, [someone.hash]).found > 0
    assert erase(client, [someone.hash]).found == 0


def test_a_dry_run_counts_and_changes_nothing(client: Any, someone: Someone) -> None:
    land(client, someone)
    counted = erase(client, [someone.hash], dry_run=True)
    assert someone.hash in everything(client)
    assert {table.table: table.found for table in erase(client, [someone.hash]).tables} == {
        table.table: table.found for table in counted.tables
    }


def test_a_table_added_later_is_covered_without_being_named(client: Any, someone: Someone) -> None:
    client.command(
        "CREATE TABLE added_later (recipient_hash String, words String) ENGINE = MergeTree ORDER BY tuple()"
    )
    rows = [[someone.hash, "his"], [anybody().hash, "hers"]]
    client.insert("added_later", rows, column_names=["recipient_hash", "words"])
    erase(client, [someone.hash])
    assert [tuple(row) for row in client.query("SELECT words FROM added_later").result_rows] == [("hers",)]


# Before the first deletion, among those by notification, among those by hash, before the last.
@pytest.mark.parametrize("done", [0, 2, 5, 11])
def test_an_erasure_that_crashed_on_its_way_is_ended_by_the_next(
    client: Any, someone: Someone, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    land(client, someone)
    delete = erasing._delete
    left_to_do = iter(range(done))

    def crash_in_time(*arguments: Any) -> None:
        if next(left_to_do, None) is None:
            raise KeyboardInterrupt
        delete(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "_delete", crash_in_time)
        with pytest.raises(KeyboardInterrupt):
            erase(client, [someone.hash])
    assert erase(client, [someone.hash]).found > 0
    left = everything(client)
    assert [trace for trace in someone.traces if trace in left] == []


def test_rows_that_land_meanwhile_are_not_passed_over_in_silence(
    client: Any, someone: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, someone)
    delete = erasing._delete

    def land_after(on: Any, rows: Pass) -> None:
        delete(on, rows)
        if rows.table == "status_events" and "some" not in rows.values:
            late = examples.status(someone.key + "late", recipient=someone.number)
            put(client, status_rows(late, Place("s", 2, 0), PRIVACY))

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "_delete", land_after)
        with pytest.raises(ErasureIncomplete, match="status_events: 1"):
            erase(client, [someone.hash])
    assert erase(client, [someone.hash]).found == 1


def test_an_old_hash_that_was_linked_is_erased_with_the_new_one(
    url: str, client: Any, someone: Someone
) -> None:
    outcome = examples.outcome(someone.key, recipient=someone.number)
    put(client, outcome_rows(outcome, Place("o", 0, 1), OLD))
    keep_beyond(url, someone)
    erase(client, [someone.hash])  # of the new key alone
    assert OLD.recipient_hash(someone.number) not in everything(client)


def test_the_hours_of_the_erased_are_summed_again(client: Any, someone: Someone) -> None:
    hour = examples.NOW - 300 * 86_400_000
    outcome = examples.outcome(someone.key, recipient=someone.number, requested_at=hour)
    put(client, outcome_rows(outcome, Place("o", 0, 1), PRIVACY))
    touched = "SELECT max(touched_at) FROM touched_hours WHERE hour = toStartOfHour(toDateTime({at:UInt32}))"
    at = {"at": hour // 1000}
    (before,) = client.query(touched, parameters=at).result_rows[0]
    erase(client, [someone.hash])
    assert client.query(touched, parameters=at).result_rows[0][0] > before


@pytest.mark.parametrize("written", ["+49 1512 3456789", "+49(1512)3456789", " +4915123456789\n"])
def test_a_number_may_be_written_in_other_ways(written: str) -> None:
    assert number_of(written) == "+4915123456789"


def test_what_is_no_number_is_refused_without_repeating_it() -> None:
    with pytest.raises(NotANumber) as refused:
        number_of("0151-none")
    assert "0151" not in str(refused.value)


def test_the_hash_under_every_key_is_looked_for() -> None:
    assert hashes_of("+1", [b"a" * 16, b"b" * 16]) == tuple(
        Privacy(key).recipient_hash("+1") for key in (b"a" * 16, b"b" * 16)
    )


def test_whoever_asks_is_told_how_long_kafka_keeps_what() -> None:
    told = dict(aging_out(load_topics().topics.items()))
    assert told[Topic.STATUS] == "7d"
    assert told[Topic.CONSENT_CHANGES] == "for ever, the last record of a key"
    assert Topic.JOURNAL not in told


@pytest.fixture
def shown(url: str, client: Any, someone: Someone, monkeypatch: pytest.MonkeyPatch) -> Someone:
    """A person with rows whom the console can find."""
    for name, value in (("CLICKHOUSE_URL", url), ("PII_HASH_KEY", KEY), ("COLUMNS", "200")):
        monkeypatch.setenv(name, value)
    outcome = examples.outcome(someone.key, recipient=someone.number)
    put(client, outcome_rows(outcome, Place("o", 0, 1), PRIVACY))
    return someone


def test_the_console_erases_and_reports_by_table(
    shown: Someone, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analytics", "erase", shown.number, "--yes", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["tables"]["messages"] == {"found": 1, "left": 0}
    assert told["ages_out_of_kafka"]["notification.outcomes"] == "30d"
    assert shown.hash not in everything(client)
    assert shown.number[3:] not in captured.out + captured.err


def test_the_console_looks_under_the_previous_key_too(
    shown: Someone, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PII_HASH_KEY", OLD_KEY)
    monkeypatch.setenv("PII_HASH_KEY_PREVIOUS", KEY)
    assert main(["analytics", "erase", shown.number, "--yes"]) == 0
    assert shown.hash not in everything(client)


def test_the_console_counts_without_erasing(
    shown: Someone, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analytics", "erase", shown.number, "--dry-run"]) == 0
    assert "would be erased" in capsys.readouterr().out
    assert shown.hash in everything(client)


def test_the_console_does_not_erase_unasked(
    shown: Someone, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analytics", "erase", shown.number]) == 2
    assert "--yes" in capsys.readouterr().err
    assert shown.hash in everything(client)


def test_the_console_refuses_what_is_no_number(shown: Someone, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analytics", "erase", "not-a-number", "--yes"]) == 2
    assert "write it as +" in capsys.readouterr().err
