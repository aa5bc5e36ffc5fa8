"""Every schema reads what the last landed one wrote; and the check that says so can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.schemas import land
from tests.schemas.compatibility import incompatibilities
from tests.schemas.contracts import LANDED, NAMES, SCHEMAS

LANDED_NAMES = sorted(path.stem for path in LANDED.glob("*.avsc"))
Change = Callable[[dict[str, Any]], None]


def landed(name: str) -> str:
    return (LANDED / f"{name}.avsc").read_text()


def changed(change: Change) -> str:
    """The landed outbound command after a change."""
    schema: dict[str, Any] = json.loads(landed("outbound_command"))
    change(schema)
    return json.dumps(schema)


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in schema["fields"] if each["name"] == name)
    return found


def another_type(schema: dict[str, Any]) -> None:
    field(schema, "segments")["type"] = "string"


def renamed(schema: dict[str, Any]) -> None:
    field(schema, "sender")["name"] = "from_number"


def added_without_default(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "cost", "type": "long"})


def no_longer_null(schema: dict[str, Any]) -> None:
    field(schema, "body")["type"] = "string"
    del field(schema, "body")["default"]


def another_name(schema: dict[str, Any]) -> None:
    schema["name"] = "Command"


def added_with_default(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "cost", "type": "long", "default": 0})


def removed(schema: dict[str, Any]) -> None:
    schema["fields"].remove(field(schema, "category"))


def widened(schema: dict[str, Any]) -> None:
    field(schema, "segments")["type"] = "long"


@pytest.mark.parametrize("name", LANDED_NAMES)
def test_a_schema_reads_what_the_last_landed_version_wrote(name: str) -> None:
    assert incompatibilities((SCHEMAS / f"{name}.avsc").read_text(), landed(name)) == []


def test_no_landed_record_has_disappeared() -> None:
    assert LANDED_NAMES
    assert set(LANDED_NAMES) - set(NAMES) == set()


@pytest.mark.parametrize(
    "change", [another_type, renamed, added_without_default, no_longer_null, another_name]
)
def test_a_change_that_could_not_read_old_records_is_found(change: Change) -> None:
    assert incompatibilities(changed(change), landed("outbound_command"))


@pytest.mark.parametrize("change", [added_with_default, removed, widened])
def test_a_change_that_reads_old_records_is_let_through(change: Change) -> None:
    assert incompatibilities(changed(change), landed("outbound_command")) == []


def test_landing_refuses_what_could_not_read_the_landed_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = json.loads((SCHEMAS / "timer_tick.avsc").read_text())
    field(here, "due_at")["type"] = "string"
    (tmp_path / "timer_tick.avsc").write_text(json.dumps(here))
    monkeypatch.setattr(land, "LANDED", tmp_path)
    assert land.main([]) == 1
    assert "timer_tick.avsc cannot read what was written before" in capsys.readouterr().err
    assert json.loads((tmp_path / "timer_tick.avsc").read_text()) == here


def test_landing_takes_the_schemas_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(land, "LANDED", tmp_path)
    assert land.main([]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SCHEMAS.glob("*.avsc")}
    assert (tmp_path / "timer_tick.avsc").read_text() == (SCHEMAS / "timer_tick.avsc").read_text()
