"""The alert rules of analytics, carriers and health against their metrics: a rule over a name that is gone
never fires."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge
from typer.main import get_command

from notifystream.cli import app
from schemas.topics import Topic
from schemas.vocabulary import RouteStatus
from sinks.analytics import metrics as of_analytics
from sinks.carriers import metrics as of_carriers
from sinks.health import metrics as of_health
from tests.servers import ROOT

FILE = ROOT / "deploy" / "prometheus" / "analytics.rules.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]
SOURCE = "".join(
    path.read_text()
    for kind in ("analytics", "carriers", "health")
    for path in (ROOT / "sinks" / kind).glob("*.py")
)
VALUES = {
    "what": set(re.findall(r'(?:WAITS\.labels|_until_done)\(\s*"([^"]+)"', SOURCE)),
    "result": set(re.findall(r'LOOKUPS\.labels\("(\w+)"\)', SOURCE)),
    "status": {each.value for each in RouteStatus},
}
# A count of these is good, or is in a rule's words: nobody is to be called because of it.
HARMLESS = {
    "notifystream_analytics_rows_landed_total",
    "notifystream_carriers_linked_total",
    # The analytics sink gives up the same records, and has a rule.
    "notifystream_carriers_unreadable_total",
    "notifystream_health_changes_total",
    "notifystream_health_missed_looks_total",
}


def _labels() -> dict[str, set[str]]:
    """The labels of every metric, by the name of its samples."""
    found = {}
    for module in (of_analytics, of_carriers, of_health):
        for metric in vars(module).values():
            if isinstance(metric, (Counter, Gauge)):
                (family,) = metric.describe()
                ending = "_total" if isinstance(metric, Counter) else ""
                found[family.name + ending] = set(metric._labelnames)
    return found


LABELS = _labels()


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_asks_for_metrics_and_labels_that_are_there(rule: dict[str, Any]) -> None:
    asked = re.findall(r"\b(notifystream_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert asked or "up{" in rule["expr"]
    for name, selectors in asked:
        assert name in LABELS, f"there is no metric {name}"
        for label, values in re.findall(r"(\w+)!?=~?\"([^\"]+)\"", selectors):
            assert label in LABELS[name], f"{name} has no label {label}"
            assert set(values.split("|")) <= VALUES[label], f"{name} never has {label}={values}"
    for label in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
        wanted = set(label.replace(" ", "").split(",")) - {"instance"}
        assert all(wanted <= LABELS[name] for name, _ in asked)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_says_what_to_do_and_whom_to_wake(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rule["annotations"]["summary"]) > 20
    assert len(rule["annotations"]["description"]) > 80


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_tells_only_what_its_alert_still_knows(rule: dict[str, Any]) -> None:
    kept = {label for labels in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in labels.split(", ")}
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert told <= kept | ({"instance"} if "up{" in rule["expr"] else set())


def test_there_is_one_rule_for_each_name_and_one_for_each_trouble() -> None:
    assert len(set(NAMES)) == len(NAMES)
    watched = " ".join(rule["expr"] for rule in RULES)
    assert [name for name in sorted(LABELS.keys() - HARMLESS) if name not in watched] == []


def test_a_rule_names_topics_and_log_lines_that_there_are() -> None:
    told = " ".join(rule["annotations"]["description"] for rule in RULES)
    assert set(re.findall(r"\b(?:dead\.letters|route\.health)\b", told)) == {
        Topic.DEAD_LETTERS,
        Topic.ROUTE_HEALTH,
    }
    lines = re.findall(r"says? (?:why )?after `([^`]+)`", told)
    assert len(lines) == 2
    assert [line for line in lines if f'"{line}' not in SOURCE] == []


def test_a_rule_names_commands_that_exist() -> None:
    told = " ".join(rule["annotations"]["description"] for rule in RULES)
    lines = re.findall(r"`notifystream ([^`]+)`", told)
    assert len(lines) >= 7
    for line in lines:
        known: Any = get_command(app)
        words = line.split()
        while hasattr(known, "commands"):
            assert words[0] in known.commands, f"there is no command {line!r}"
            known = known.commands[words.pop(0)]
        options = {option for parameter in known.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_prometheus_takes_the_file() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here to ask")
    done = subprocess.run(
        [promtool, "check", "rules", str(FILE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
