"""The alert rules against the metrics there are: a rule over a name that is gone never fires."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ingress.metrics import Gauge
from tests.servers import ROOT, Server

FILE = ROOT / "deploy" / "prometheus" / "ingress.rules.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]


@pytest.fixture(scope="module")
def samples(ingress: Server) -> dict[str, list[dict[str, str]]]:
    """The labels of every sample by its name, as an ingress shows them that was never called."""
    shown = httpx2.get(f"{ingress.address}/metrics", timeout=20).text
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_asks_for_metrics_and_labels_that_are_there(
    rule: dict[str, Any], samples: dict[str, list[dict[str, str]]]
) -> None:
    asked = re.findall(r"\b(ingress_\w+)(?:\{(\w+)=~?\"([^\"]+)\"\})?", rule["expr"])
    assert asked or "up{" in rule["expr"]
    for name, label, values in asked:
        assert name in samples, f"there is no metric {name}"
        for value in filter(None, values.split("|")):
            assert value in {labels.get(label) for labels in samples[name]}, f"{name} has no {label}={value}"


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_says_what_to_do_and_whom_to_wake(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rule["annotations"]["summary"]) > 20
    assert len(rule["annotations"]["description"]) > 80


def test_there_is_one_rule_for_each_name_and_one_for_each_trouble() -> None:
    assert len(set(NAMES)) == len(NAMES)
    watched = " ".join(rule["expr"] for rule in RULES)
    troubles = {gauge.value for gauge in Gauge} - {Gauge.JOURNAL_ENTRIES.value, Gauge.IN_FLIGHT.value}
    troubles |= {'result="unacknowledged"', 'result="failed"', "bad-signature", "acknowledgement_seconds"}
    assert [trouble for trouble in sorted(troubles) if trouble not in watched] == []


def test_a_rule_names_log_lines_that_are_written() -> None:
    source = "".join(path.read_text() for path in (ROOT / "ingress").rglob("*.py"))
    told = " ".join(rule["annotations"]["description"] for rule in RULES)
    lines = re.findall(r"\b((?:journal|kafka|accounts|webhook)\.[a-z_]+)\b", told)
    assert len(lines) >= 4
    assert [line for line in lines if f'"{line}"' not in source] == []


def test_prometheus_takes_the_file() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here to ask")
    done = subprocess.run(
        [promtool, "check", "rules", str(FILE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
