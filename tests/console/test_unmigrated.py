"""What the commands say of a database that the analytics service has not been at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifystream.cli import main
from tests.analytics.world import ClickHouse


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path)
    server.start()
    monkeypatch.setenv("CLICKHOUSE_URL", server.url)
    yield server
    server.stop()


def test_a_report_on_a_database_without_the_tables_says_how_they_are_made(
    empty: ClickHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "carriers"]) == 1
    said = capsys.readouterr().err
    assert "notifystream analytics migrate" in said
    assert "Traceback" not in said


def test_a_query_on_it_is_answered_with_clickhouses_own_words(
    empty: ClickHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sql", "SELECT count() FROM deliverability"]) == 1
    assert "deliverability" in capsys.readouterr().err


def test_nobody_is_told_to_be_erased_where_nobody_could_be(
    empty: ClickHouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PII_HASH_KEY", "0123456789abcdef0123456789abcdef")
    assert main(["analytics", "erase", "+14155550123", "--yes"]) == 1
    told = capsys.readouterr()
    assert "CLICKHOUSE_URL" in told.err
    assert "erased" not in told.out
