"""The outbound sink's alert rules against its metrics: a rule over a name that is gone never fires."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from typer.main import get_command

from notifystream.cli import app
from schemas.vocabulary import CommandResult, ControlScope, ErrorClass, Priority
from sinks.outbound.metrics import Name
from tests.outbound import shown
from tests.servers import ROOT

FILE = ROOT / "deploy" / "prometheus" / "outbound.rules.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]
VALUES = {
    "lane": {each.value for each in Priority},
    "scope": {each.value for each in ControlScope},
    "result": {each.value for each in CommandResult},
    "error_class": {each.value for each in ErrorClass},
}


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels of every sample by its name."""

    async def collect() -> dict[str, set[str]]:
        families = await asyncio.to_thread(shown.metrics().collect)
        return {sample.name: set(sample.labels) for family in families for sample in family.samples}

    return asyncio.run(collect())


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_asks_for_metrics_and_labels_that_are_there(
    rule: dict[str, Any], labels: dict[str, set[str]]
) -> None:
    asked = re.findall(r"\b(outbound_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert asked or "up{" in rule["expr"]
    for name, selectors in asked:
        assert name in labels, f"there is no metric {name}"
        for label, values in re.findall(r"(\w+)!?=~?\"([^\"]+)\"", selectors):
            assert label in labels[name], f"{name} has no label {label}"
            assert set(values.split("|")) <= VALUES[label]
    for label in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
        wanted = set(label.replace(" ", "").split(",")) - {"instance"}
        assert all(wanted <= labels[name] for name, _ in asked)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_says_what_to_do_and_whom_to_wake(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rule["annotations"]["summary"]) > 20
    assert len(rule["annotations"]["description"]) > 80


def test_there_is_one_rule_for_each_name_and_one_for_each_trouble() -> None:
    assert len(set(NAMES)) == len(NAMES)
    watched = " ".join(rule["expr"] for rule in RULES)
    troubles = {
        Name.QUEUE_AGE, Name.DOUBT_AGE, Name.HELD, Name.PAUSED, Name.STUCK, Name.COMMIT_AGE, Name.LAG,
        Name.RATE, Name.CAP,
    }  # fmt: skip
    assert [trouble for trouble in sorted(troubles) if trouble not in watched] == []


def test_a_rule_names_commands_that_exist() -> None:
    told = " ".join(rule["annotations"]["description"] for rule in RULES)
    commands = get_command(app)
    lines = re.findall(r"`notifystream ([a-z -]+)`", told)
    assert len(lines) >= 6
    for line in lines:
        known: Any = commands
        for word in line.split():
            if word.startswith("-") or not hasattr(known, "commands"):
                break
            assert word in known.commands, f"there is no command {line!r}"
            known = known.commands[word]


def test_prometheus_takes_the_file() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here to ask")
    done = subprocess.run(
        [promtool, "check", "rules", str(FILE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
