"""`report`, `sql` and `show` on the command line: results on stdout, one clear message when it goes wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest

from notifystream.cli import main
from sinks.analytics.clickhouse import connect, insert
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import Place, outcome_rows
from tests.analytics import examples
from tests.analytics.world import KEY, ClickHouse


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    migrate(server.url)
    client = connect(server.url)
    for row in outcome_rows(examples.outcome("order-1"), Place("t", 0, 0), Privacy(KEY)):
        insert(client, [row], "one")
    client.close()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _settings(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", clickhouse.url)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_report_is_a_table_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "carriers"]) == 0
    out = capsys.readouterr().out
    assert "Deliverability by carrier" in out
    assert "Telekom" in out


def test_a_table_of_eighty_columns_still_says_how_sure_a_share_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["report", "deliverability"]) == 0
    heading = capsys.readouterr().out.splitlines()[1]
    assert heading.split()[-6:] == ["deliv.", "%", "low", "%", "high", "%"]


def test_a_report_may_be_by_something_else_and_have_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "deliverability", "--by", "tenant,category", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["tenant"], row["category"], row["delivered"]) == ("acme", "transactional", 1)
    assert main(["report", "deliverability", "--since", "7d", "--until", "6d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_by_that_a_report_does_not_know_is_answered_with_what_it_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "errors", "--by", "recipient"]) == 2
    assert "it can be by: tenant, channel" in capsys.readouterr().err


def test_a_report_as_json_is_one_array_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "countries", "--json", "--since", "7d"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["country"], row["attempts"], row["delivered_percent"]) == ("DE", 1, 100.0)


def test_a_query_as_csv_has_a_header_and_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT carrier, attempts FROM deliverability", "--csv"]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["carrier", "attempts"],
        ["Telekom", "1"],
    ]


def test_a_query_may_not_write(clickhouse: ClickHouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "TRUNCATE TABLE messages"]) == 1
    assert "readonly" in capsys.readouterr().err.lower()
    assert clickhouse.query("SELECT count() FROM messages") == [(1,)]


def test_a_query_with_a_mistake_is_answered_with_clickhouses_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sql", "SELECT nothing FROM messages"]) == 1
    answer = capsys.readouterr().err
    assert "nothing" in answer
    assert "Traceback" not in answer


def test_a_story_is_found_by_tenant_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--tenant", "acme", "--key", "order-1", "--json"]) == 0
    story = json.loads(capsys.readouterr().out)
    assert (story["notification_id"], story["state"]) == (examples.nid("order-1"), "delivered")
    assert [moment["kind"] for moment in story["moments"]] == ["command", "outcome"]


def test_a_story_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", examples.nid("order-1")]) == 0
    assert "attempt 1 by sms" in capsys.readouterr().out


def test_an_unknown_notification_is_said_to_be_not_yet_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", examples.nid("nobody")]) == 1
    assert "not (yet) in ClickHouse" in capsys.readouterr().err


def test_a_clickhouse_that_is_away_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "http://127.0.0.1:9")
    assert main(["report", "carriers"]) == 1
    answer = capsys.readouterr().err
    assert "ClickHouse is not reachable at http://127.0.0.1:9" in answer
    assert "Traceback" not in answer


def test_a_since_that_is_no_time_is_answered_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "carriers", "--since", "yesterday"]) == 2
    assert "24h, 30m, 7d" in capsys.readouterr().err


def test_a_rebuild_makes_the_days_anew_and_says_how_many(
    clickhouse: ClickHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect(clickhouse.url)
    client.command("TRUNCATE TABLE messages_by_hour")
    client.close()
    assert main(["analytics", "rebuild", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"days": 1}
    assert "is made anew" in told.err
    assert clickhouse.query("SELECT count() FROM messages_by_hour") == [(1,)]
    assert main(["analytics", "rebuild", "--since", "2099-01-01"]) == 0
    assert "0 days are made anew" in capsys.readouterr().out


def test_a_rebuild_from_what_is_no_time_is_answered_with_the_forms_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["analytics", "rebuild", "--since", "tuesday"]) == 2
    assert "--since 'tuesday' is no time: write 24h" in capsys.readouterr().err


def test_a_rebuild_of_a_database_without_tables_says_what_to_run(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect(clickhouse.url)
    client.command("CREATE DATABASE IF NOT EXISTS empty")
    client.close()
    monkeypatch.setenv("CLICKHOUSE_URL", f"{clickhouse.url}/empty")
    assert main(["analytics", "rebuild"]) == 1
    assert "analytics migrate" in capsys.readouterr().err
