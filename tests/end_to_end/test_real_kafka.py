"""The demo on a real Kafka, undisturbed and with a kill -9 of every service."""

import os
import random
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.demo import stage
from sandbox.demo.display import Display
from sandbox.demo.plan import make_plan
from sandbox.demo.proof import judge_reports
from sandbox.demo.run import Target, run
from sandbox.demo.verdict import Verdict
from sandbox.demo.warehouse import wait_for
from sandbox.supervisor import BESIDE, SERVICES, Sandbox
from schemas.clients import Kafka
from tests.kafka.broker import KafkaHandle

pytestmark = [pytest.mark.broker, pytest.mark.timeout(480)]

KILLED = (*SERVICES, *BESIDE)


class Killer:
    """Kills each service once, at a moment (a number of answered events) drawn from the seed."""

    def __init__(self, box: Sandbox, messages: int, seed: int) -> None:
        rng = random.Random(seed)
        moments = sorted(rng.randrange(1, messages * 3 // 4) for _ in KILLED)
        self._box = box
        self._due = list(zip(moments, rng.sample(KILLED, len(KILLED)), strict=True))
        self.killed: list[str] = []

    def __call__(self, seen: int) -> None:
        while self._due and seen >= self._due[0][0]:
            _, name = self._due.pop(0)
            self._box.children.kill(name)
            self.killed.append(name)
            self._box.children.restart(name)


def performed(folder: Path, kafka: KafkaHandle, *, messages: int, seed: int, kills: bool) -> Verdict:
    plan = make_plan(messages, seed, label=os.urandom(6).hex())
    box = Sandbox(stage.options(folder, seed=seed, chaos="default", kafka=kafka.bootstrap))
    killer = Killer(box, messages, seed)
    try:
        box.start()
        with Display(Console(stderr=True)) as display:
            done = run(
                plan,
                Target(
                    kafka=Kafka(bootstrap_servers=kafka.bootstrap),
                    registry_url=box.env["SCHEMA_REGISTRY_URL"],
                    carrier_url=box.carrier_url,
                    check=box.children.check,
                    disturb=killer if kills else lambda seen: None,
                ),
                display,
                per_second=20.0,
                deadline_s=240.0,
            )
        wait_for(box.env["CLICKHOUSE_URL"], done.versions, 90.0, box.children.check)
        verdict, _ = judge_reports(plan, done, box, is_alone=False)
    finally:
        box.stop()
    assert sorted(killer.killed) == (sorted(KILLED) if kills else [])
    return verdict


def told(verdict: Verdict) -> str:
    """Every finding on a line of its own, as pytest would cut their repr."""
    return "\n".join(f"{each.kind} {each.notification_id}: {each.what}" for each in verdict.findings)


def test_the_demo_keeps_every_promise_on_a_real_kafka(tmp_path: Path, untouched_kafka: KafkaHandle) -> None:
    verdict = performed(tmp_path, untouched_kafka, messages=150, seed=7, kills=False)
    assert verdict.passed, told(verdict)
    assert verdict.reports_checked == 12


@pytest.mark.chaos
def test_nothing_is_lost_or_sent_twice_when_each_service_is_killed_once(
    tmp_path: Path, untouched_kafka: KafkaHandle, seed: int
) -> None:
    verdict = performed(tmp_path, untouched_kafka, messages=200, seed=seed, kills=True)
    assert verdict.passed, told(verdict)
    assert verdict.reports_checked == 12
